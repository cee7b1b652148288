/* SPDX-License-Identifier: MIT */
/* NEON's vocabulary, compiled with the dot product. */
#include "backends/neon/vec.h"

#include "backends/kernels/table.h"
