dnl SPDX-License-Identifier: MIT
dnl
dnl Q8K_CHECK_SIMD(NAME, FLAGS, PROLOGUE, BODY)
dnl
dnl Finds whether the compiler, the assembler and the linker can make code for an instruction set: a program of
dnl PROLOGUE (headers) and BODY (statements that use the intrinsics, ending in a value in `int result`) is compiled with
dnl FLAGS and linked. Taking the flags proves nothing: old assemblers and half-ported headers fail later.
dnl Sets q8k_cv_simd_NAME to yes or no, and substitutes Q8K_NAME_CFLAGS (in capitals) with FLAGS, or with nothing. The
dnl backend's own conditional comes from Q8K_BACKEND([NAME], [$q8k_cv_simd_NAME]). Example:
dnl
dnl     Q8K_CHECK_SIMD([avx2], [-mavx2 -mfma -mf16c], [[#include <immintrin.h>]],
dnl                    [[__m256i sum = _mm256_maddubs_epi16(_mm256_set1_epi8(zero), _mm256_set1_epi8(zero));
dnl                      int result = _mm256_extract_epi32(sum, 0);]])
dnl
dnl BODY may use `char zero`, a value that the compiler cannot know, so that nothing is computed away.
AC_DEFUN([Q8K_CHECK_SIMD],
[AC_CACHE_CHECK([whether $CC makes $1 code with $2], [q8k_cv_simd_$1],
    [q8k_saved_CFLAGS=$CFLAGS
     CFLAGS="$CFLAGS $2"
     AC_LINK_IFELSE([AC_LANG_SOURCE([
$3
int main(int argc, char **argv) {
    char zero = (char)(argc - 1 + (*argv == 0));
    $4
    return result;
}])], [q8k_cv_simd_$1=yes], [q8k_cv_simd_$1=no])
     CFLAGS=$q8k_saved_CFLAGS])
AS_IF([test "$q8k_cv_simd_$1" = yes], [Q8K_]m4_toupper([$1])[_CFLAGS="$2"], [Q8K_]m4_toupper([$1])[_CFLAGS=])
AC_SUBST([Q8K_]m4_toupper([$1])[_CFLAGS])])
