/* SPDX-License-Identifier: MIT */
#include "backends/avx2/vec.h"

#include "backends/kernels/table.h"
