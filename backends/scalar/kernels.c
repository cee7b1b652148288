/* SPDX-License-Identifier: MIT */
#include "backends/scalar/vec.h"

#include "backends/kernels/table.h"
