dnl SPDX-License-Identifier: MIT

dnl Q8K_CHECK_CFLAGS(VARIABLE, FLAGS): substitutes VARIABLE with those of FLAGS that the compiler takes.
AC_DEFUN([Q8K_CHECK_CFLAGS],
[$1=
for flag in m4_normalize([$2])
do
    AC_MSG_CHECKING([whether $CC takes $flag])
    q8k_saved_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS -Werror $flag"
    AC_COMPILE_IFELSE([AC_LANG_SOURCE([[int q8k_probe(void); int q8k_probe(void) { return 0; }]])],
                      [AC_MSG_RESULT([yes])
                       $1="[$]$1${$1:+ }$flag"],
                      [AC_MSG_RESULT([no])])
    CFLAGS=$q8k_saved_CFLAGS
done
AC_SUBST([$1])])

dnl Q8K_CHECK_LDFLAGS(VARIABLE, FLAGS): substitutes VARIABLE with those of FLAGS with which a shared library links.
dnl A library, since the user's CFLAGS may make the difference there: with a sanitizer -z defs must be left out.
AC_DEFUN([Q8K_CHECK_LDFLAGS],
[$1=
for flag in m4_normalize([$2])
do
    AC_MSG_CHECKING([whether shared libraries link with $flag])
    Q8K_LINK_SHARED([$flag],
                    [AC_MSG_RESULT([yes])
                     $1="[$]$1${$1:+ }$flag"],
                    [AC_MSG_RESULT([no])])
done
AC_SUBST([$1])])

dnl Q8K_CHECK_FORTIFY(VARIABLE): substitutes VARIABLE with what makes the C library check the sizes of buffers, as far as
dnl it knows how to with the CFLAGS given: not without optimisation. Nothing where the compiler or the user has decided.
AC_DEFUN([Q8K_CHECK_FORTIFY],
[$1=
AC_MSG_CHECKING([how far the C library checks the sizes of buffers])
q8k_saved_CPPFLAGS=$CPPFLAGS
q8k_fortify=no
AC_COMPILE_IFELSE([AC_LANG_SOURCE([[#ifndef _FORTIFY_SOURCE
#error
#endif]])], [q8k_fortify='as the compiler says'])
for level in 2 3
do
    AS_CASE([$q8k_fortify], [as*], [break])
    CPPFLAGS="$q8k_saved_CPPFLAGS -D_FORTIFY_SOURCE=$level"
    AC_COMPILE_IFELSE([AC_LANG_SOURCE([[#include <string.h>
#if !defined __USE_FORTIFY_LEVEL || __USE_FORTIFY_LEVEL < _FORTIFY_SOURCE
#error
#endif]])], [q8k_fortify=$level
             $1=-D_FORTIFY_SOURCE=$level])
done
CPPFLAGS=$q8k_saved_CPPFLAGS
AC_MSG_RESULT([$q8k_fortify])
AC_SUBST([$1])])

dnl Q8K_LINK_SHARED(LDFLAGS, IF-YES, IF-NO): links a small shared library.
AC_DEFUN([Q8K_LINK_SHARED],
[q8k_saved_CFLAGS=$CFLAGS
q8k_saved_LDFLAGS=$LDFLAGS
CFLAGS="$CFLAGS -fPIC"
LDFLAGS="$LDFLAGS -shared $1"
AC_LINK_IFELSE([AC_LANG_SOURCE([[int q8k_probe(const int *p); int q8k_probe(const int *p) { return p[1]; }]])],
               [q8k_linked=yes], [q8k_linked=no])
CFLAGS=$q8k_saved_CFLAGS
LDFLAGS=$q8k_saved_LDFLAGS
AS_IF([test $q8k_linked = yes], [$2], [$3])])

dnl Q8K_CHECK_VERSION_SCRIPT: the conditional VERSION_SCRIPT: does the linker take --version-script?
AC_DEFUN([Q8K_CHECK_VERSION_SCRIPT],
[AC_MSG_CHECKING([whether the linker takes --version-script])
echo 'Q8K_1.0 { global: q8k_probe; local: *; };' >conftest.map
Q8K_LINK_SHARED([-Wl,--version-script=conftest.map], [q8k_version_script=yes], [q8k_version_script=no])
rm -f conftest.map
AC_MSG_RESULT([$q8k_version_script])
AM_CONDITIONAL([VERSION_SCRIPT], [test $q8k_version_script = yes])])

dnl Q8K_SEARCH_LIB(VARIABLE, FUNCTION, LIBRARY): substitutes VARIABLE with -lLIBRARY if FUNCTION needs it, else nothing.
AC_DEFUN([Q8K_SEARCH_LIB],
[q8k_saved_LIBS=$LIBS
AC_SEARCH_LIBS([$2], [$3], [], [AC_MSG_ERROR([no library has $2])])
AS_IF([test "$ac_cv_search_$2" = "none required"], [$1=], [$1=$ac_cv_search_$2])
LIBS=$q8k_saved_LIBS
AC_SUBST([$1])])
