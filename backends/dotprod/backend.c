/* SPDX-License-Identifier: MIT */
#include "backends/backend.h"

BACKEND_ENTRY(dotprod)
