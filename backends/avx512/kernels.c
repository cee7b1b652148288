/* SPDX-License-Identifier: MIT */
#include "backends/avx512/vec.h"

#include "backends/kernels/table.h"
