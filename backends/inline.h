/* SPDX-License-Identifier: MIT */
/* For what a kernel is made of. Left to itself, gcc keeps some of the many copies of a small function as calls, in which
 * constants become variables and vectors go through memory. */
#ifndef Q8K_BACKENDS_INLINE_H
#define Q8K_BACKENDS_INLINE_H

#define ALWAYS_INLINE static inline __attribute__((always_inline))

#endif
