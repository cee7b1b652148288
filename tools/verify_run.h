/* SPDX-License-Identifier: MIT */
/* A backend's results held against the definition and the exact product. */
#ifndef Q8K_TOOLS_VERIFY_RUN_H
#define Q8K_TOOLS_VERIFY_RUN_H

#include "verify_case.h"

/* What came of one backend with one format and one precision. */
typedef struct verify_tally {
    size_t values, different, broken; /* compared; with other bits than the definition; outside a promise */
    double error, bound;              /* of the output whose error is the largest part of its bound */
    double units;                     /* the largest error of an ordinary random output, in u G */
    char first[256];                  /* the first failure; "" if there is none */
} verify_tally;

/* The promise for FLOAT on ordinary random cases, in u G. */
#define VERIFY_UNITS 16.0

/* Computes a case, as expected for its precision, at several batch sizes, in several numbers of parts and row by row.
 * A call that fails is a failure in the tally. Returns false if there is no memory. */
bool verify_products(const q8k_context *context, const verify_case *c, verify_tally *tally);

/* Decodes the weights of a case. */
bool verify_decode(const q8k_context *context, const verify_case *c, verify_tally *tally);

/* The share of its bound that an error takes: above 1, or infinite, if it is outside. */
double verify_share(double error, double bound);

#endif
