/* SPDX-License-Identifier: MIT */
/* The data of one tensor. It is read, decoded and quantized in pieces, which threads take in turn; a round of pieces is
 * written when all of it is there. Rows of blocks have no gaps, so pieces need not be rows, which can be of any length;
 * and since each block is quantized by itself, the threads make no difference. */
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "convert.h"
#include "decode.h"

/* Pieces of a round for each thread: so many that waiting for the slowest one costs little. */
enum { ROUND_PIECES = 8, COPY_BYTES = 1 << 18 };

typedef struct round_of_work {
    const conversion *c;
    const conversion_step *step;
    weights_scratch *scratches; /* one for each thread */
    uint8_t *out;
    size_t piece_bytes; /* of a whole one, as written */
    uint64_t first;     /* weights */
    size_t count;       /* weights */
    /* The first piece that failed, if any: which one does not depend on the threads. */
    size_t failed;
    char error[WEIGHTS_ERROR_BYTES];
} round_of_work;

/* Weights, of whole blocks, as they are written. */
static size_t written_bytes(const gguf_tensor *to, size_t count) {
    return to->format != 0 ? q8k_row_bytes(to->format, count) : count * sizeof(float);
}

static bool make_piece(const round_of_work *r, size_t piece, weights_scratch *scratch,
                       char error[WEIGHTS_ERROR_BYTES]) {
    const gguf_tensor *from = &r->step->from;
    size_t before = piece * WEIGHTS_PIECE, left = r->count - before;
    size_t count = left < WEIGHTS_PIECE ? left : WEIGHTS_PIECE;
    uint8_t *to = r->out + piece * r->piece_bytes;
    if (r->step->to.format != 0) {
        return weights_quantize(&r->c->in, from, r->step->to.format, r->first + before, count, to, scratch, error);
    }
    if (!weights_read(&r->c->in, from, r->first + before, count, scratch, error)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        decode_put_single(to + i * sizeof(float), scratch->floats[i]);
    }
    return true;
}

static void make_round(round_of_work *r) {
    size_t pieces = (r->count + WEIGHTS_PIECE - 1) / WEIGHTS_PIECE;
    r->failed = pieces;
#ifdef _OPENMP
#pragma omp parallel for num_threads(r->c->threads) schedule(dynamic)
#endif
    for (size_t piece = 0; piece < pieces; piece++) {
        char error[WEIGHTS_ERROR_BYTES];
#ifdef _OPENMP
        weights_scratch *own = &r->scratches[omp_get_thread_num()];
#else
        weights_scratch *own = r->scratches;
#endif
        if (!make_piece(r, piece, own, error)) {
#ifdef _OPENMP
#pragma omp critical
#endif
            if (piece < r->failed) {
                r->failed = piece;
                memcpy(r->error, error, sizeof error);
            }
        }
    }
    if (r->failed == pieces) {
        r->error[0] = '\0';
    }
}

static bool fail(conversion *c, const char *error) {
    progress_clear(&c->progress);
    command_say("%s", error);
    return false;
}

bool convert_put(conversion_output *out, const void *bytes, size_t count, char error[WEIGHTS_ERROR_BYTES]) {
    return out->is_npy ? npy_put_bytes(&out->npy, bytes, count, error) : gguf_write(&out->gguf, bytes, count, error);
}

static bool convert_rounds(conversion *c, round_of_work *r, conversion_output *out) {
    char name[WEIGHTS_NAME_BYTES];
    const gguf_tensor *from = &r->step->from;
    uint64_t weights = from->rows * from->cols;
    size_t most = (size_t)c->threads * ROUND_PIECES * WEIGHTS_PIECE;
    for (r->first = 0; r->first < weights; r->first += r->count) {
        r->count = weights - r->first < most ? (size_t)(weights - r->first) : most;
        make_round(r);
        if (r->error[0] != '\0' || !convert_put(out, r->out, written_bytes(&r->step->to, r->count), r->error)) {
            return fail(c, r->error);
        }
        progress_step(&c->progress, (uint64_t)((double)from->bytes * ((double)r->count / (double)weights)),
                      weights_name(from, name));
    }
    return true;
}

static bool convert_tensor(conversion *c, const conversion_step *step, conversion_output *out) {
    round_of_work r = {.c = c, .step = step, .piece_bytes = written_bytes(&step->to, WEIGHTS_PIECE)};
    r.scratches = malloc((size_t)c->threads * sizeof *r.scratches);
    r.out = malloc((size_t)c->threads * ROUND_PIECES * r.piece_bytes);
    bool good = r.scratches != NULL && r.out != NULL ? convert_rounds(c, &r, out)
                                                     : fail(c, "no memory for the rows that threads work on");
    free(r.scratches);
    free(r.out);
    return good;
}

static bool copy_tensor(conversion *c, const conversion_step *step, conversion_output *out) {
    char error[WEIGHTS_ERROR_BYTES], name[WEIGHTS_NAME_BYTES];
    uint8_t *bytes = malloc(COPY_BYTES);
    if (bytes == NULL) {
        return fail(c, "no memory for copying");
    }
    bool good = true;
    for (uint64_t first = 0; good && first < step->from.bytes; first += COPY_BYTES) {
        uint64_t left = step->from.bytes - first;
        size_t count = left < COPY_BYTES ? (size_t)left : COPY_BYTES;
        good = weights_bytes(&c->in, &step->from, first, count, bytes, error) && convert_put(out, bytes, count, error);
        progress_step(&c->progress, count, weights_name(&step->from, name));
    }
    free(bytes);
    return good || fail(c, error);
}

bool convert_data(conversion *c, const conversion_step *step, conversion_output *out) {
    return step->converts ? convert_tensor(c, step, out) : copy_tensor(c, step, out);
}
