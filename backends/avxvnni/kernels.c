/* SPDX-License-Identifier: MIT */
/* AVX2's vocabulary, compiled with AVX-VNNI. */
#include "backends/avx2/vec.h"

#include "backends/kernels/table.h"
