/* SPDX-License-Identifier: MIT */
#include "backends/neon/vec.h"

#include "backends/kernels/table.h"
