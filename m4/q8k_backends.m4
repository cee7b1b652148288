dnl SPDX-License-Identifier: MIT
dnl
dnl The list of backends, which are plugins, or with --enable-builtin-backends parts of the library. Between Q8K_BACKENDS_BEGIN and Q8K_BACKENDS_END stands one call of Q8K_BACKEND for each,
dnl best first. They read $enable_backends, which is yes, no or a list of names, and $enable_builtin_backends, and set:
dnl     BACKENDS               (substituted) the names of those to build
dnl     BUILTIN_CPPFLAGS       (substituted) for lib/builtin_backends.c: the macro that lists them
dnl     BUILTIN_BACKENDS       (automake conditional) whether they are parts of the library
dnl     left_out               the names of those that cannot be built here
dnl     BACKEND_NAME           (automake conditional, in capitals) whether to build it

AC_DEFUN([Q8K_BACKENDS_BEGIN],
[BACKENDS=
q8k_inside=
left_out=
q8k_known=" "
q8k_wanted=" `echo "$enable_backends" | tr ',' ' '` "
AM_CONDITIONAL([BUILTIN_BACKENDS], [test "x$enable_builtin_backends" = xyes])
dnl Plugins are shared libraries.
AS_IF([test "x$enable_shared$enable_builtin_backends" = xnono],
      [AS_CASE([$enable_backends],
               [yes|no], [q8k_wanted=" no "],
               [AC_MSG_ERROR([--enable-backends needs shared libraries, or --enable-builtin-backends])])])])

dnl Q8K_BACKEND(NAME, CAN-BE-BUILT): CAN-BE-BUILT is yes or no, or empty where it is for another kind of CPU, as the
dnl shell expands it.
AC_DEFUN([Q8K_BACKEND],
[q8k_known="${q8k_known}$1 "
q8k_build=no
AS_CASE([$q8k_wanted],
        [" yes "], [AS_CASE([$2], [yes], [q8k_build=yes], [no], [left_out="$left_out $1"])],
        [*" $1 "*], [AS_IF([test "x$2" = xyes], [q8k_build=yes],
                           [AC_MSG_ERROR([the backend $1 cannot be built: $CC does not compile for it, or not for this CPU])])])
AS_IF([test $q8k_build = yes], [BACKENDS="$BACKENDS${BACKENDS:+ }$1"])
m4_if([$1], [scalar], [], [AS_IF([test $q8k_build = yes], [q8k_inside="$q8k_inside X($1)"])])
AM_CONDITIONAL([BACKEND_]m4_toupper([$1]), [test $q8k_build = yes])])

AC_DEFUN([Q8K_BACKENDS_END],
[AS_CASE([$q8k_wanted], [" yes "|" no "], [],
         [for q8k_name in $q8k_wanted
          do
              AS_CASE([$q8k_known], [*" $q8k_name "*], [],
                      [AC_MSG_ERROR([--enable-backends: there is no backend "$q8k_name"; known are:$q8k_known])])
          done])
AC_SUBST([BACKENDS])
BUILTIN_CPPFLAGS="'-DQ8K_EACH_BUILTIN_BACKEND(X)=$q8k_inside'"
AC_SUBST([BUILTIN_CPPFLAGS])])
