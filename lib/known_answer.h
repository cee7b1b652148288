/* SPDX-License-Identifier: MIT */
#ifndef Q8K_LIB_KNOWN_ANSWER_H
#define Q8K_LIB_KNOWN_ANSWER_H

#include "lib/loader.h"

/* Runs every kernel of a backend against the built-in one on blocks and activations that use every lane, tail and
 * field. Returns 1 if all bits agree, 0 and the reason if not, -1 if there is no memory. */
int q8k_known_answer(const q8k_loaded *candidate, q8k_text *why);

#endif
