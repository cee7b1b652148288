/* SPDX-License-Identifier: MIT */
/* Runs a language model of the llama family from a GGUF file; options.c says how. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common.h"
#include "graph.h"
#include "npy.h"
#include "options.h"
#include "vocabulary.h"

/* ------------------------------------------------------------------------------------------------ tokens --- */

static void take_ids(const settings *s, size_t most, token_list *list) {
    FILE *file = s->tokens[0] == '@' ? fopen(s->tokens + 1, "r")
                                     : fmemopen((void *)(uintptr_t)s->tokens, strlen(s->tokens), "r");
    if (file == NULL)
        die("--tokens = '%s': %s", s->tokens, strerror(errno));
    char word[32];
    while (fscanf(file, "%*[, \t\r\n]"), fscanf(file, "%31[^, \t\r\n]", word) == 1)
        add_token(list, whole_number("tokens", word, 0, most - 1));
    if (ferror(file))
        die("--tokens = '%s': cannot be read", s->tokens);
    fclose(file);
}

static token_list take_prompt(const settings *s, const vocabulary *v) {
    token_list list = {.ids = NULL};
    if (s->tokens != NULL)
        take_ids(s, v->count, &list);
    else
        tokenize(v, (text){s->prompt, strlen(s->prompt)}, &list);
    if (list.count == 0)
        die("the prompt has no tokens");
    return list;
}

/* Between 0 and 1, by splitmix64. */
static double next_random(uint64_t *seed) {
    uint64_t z = (*seed += 0x9e3779b97f4a7c15U);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

/* The likeliest token; with a temperature, token i as often as exp(logit / temperature) says. */
static size_t choose(settings *s, const float *logits, size_t count) {
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        best = logits[i] > logits[best] ? i : best;
    if (s->temperature == 0)
        return best;
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += exp((double)(logits[i] - logits[best]) / s->temperature);
    double left = next_random(&s->seed) * sum;
    for (size_t i = 0; i < count; i++) {
        left -= exp((double)(logits[i] - logits[best]) / s->temperature);
        if (left < 0)
            return i;
    }
    return best;
}

/* ------------------------------------------------------------------------------------------------- a run --- */

typedef struct session {
    settings *s;
    graph *g;
    vocabulary *v;
    FILE *logits;
    size_t generated;
} session;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void print(const session *run, int32_t id) {
    if (run->s->ids)
        printf("%d\n", (int)id);
    else
        print_token(run->v, id, stdout);
    fflush(stdout);
}

static void write_logits(session *run, size_t rows) {
    if (run->logits != NULL)
        fwrite(run->g->logits, sizeof(float), rows * run->v->count, run->logits);
}

/* Afterwards the last position's logits are the last in g->logits: where. */
static const float *take_tokens(session *run, const token_list *prompt) {
    size_t rows = 0, kept = 0;
    for (size_t at = 0; at < prompt->count; at += rows) {
        rows = prompt->count - at < run->s->batch ? prompt->count - at : run->s->batch;
        kept = run->logits != NULL ? rows : at + rows == prompt->count;
        graph_run(run->g, prompt->ids + at, rows, kept);
        write_logits(run, kept);
    }
    return run->g->logits + (kept - 1) * run->v->count;
}

static void generate(session *run, const float *logits) {
    for (; run->generated < run->s->generate; run->generated++) {
        int32_t id = (int32_t)choose(run->s, logits, run->v->count);
        if (id == run->v->end && !run->s->ignore_end)
            return;
        print(run, id);
        graph_run(run->g, &id, 1, 1);
        write_logits(run, 1);
        logits = run->g->logits;
    }
}

/* Tells how long some tokens took, since a time and what libq8k had taken of it until then. */
static void report_speed(const graph *g, const char *what, size_t tokens, double since, double library) {
    double seconds = now() - since;
    if (tokens > 0)
        fprintf(stderr, "%s: %zu tokens, %.2f tokens/s, %.1f %% of it in libq8k\n", what, tokens,
                (double)tokens / seconds, 100 * (g->library_seconds - library) / seconds);
}

/* The largest resident set of this process, in bytes; 0 where the system does not tell. */
static double resident_bytes(void) {
    char line[128];
    double kilobytes = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        sscanf(line, "VmHWM: %lf kB", &kilobytes);
    if (status != NULL)
        fclose(status);
    return 1024 * kilobytes;
}

static void report_memory(const graph *g) {
    fprintf(stderr, "memory: file %.1f MB, cache %.1f MB, workspace %.1f MB, resident %.1f MB\n",
            1e-6 * (double)g->m->file.length, 1e-6 * (double)cache_bytes(&g->cache, g->m),
            1e-6 * (double)g->workspace_bytes, 1e-6 * resident_bytes());
}

static void run_model(session *run, const token_list *prompt) {
    const graph *g = run->g;
    if (run->s->logits != NULL) {
        run->logits = create_file(run->s->logits);
        npy_header(run->logits, prompt->count + run->s->generate, run->v->count);
    }
    fprintf(stderr, "backend %s, precision %s, %zu threads\n", q8k_context_backend(g->context),
            q8k_precision_name(g->precision), g->threads);
    for (size_t i = 0; run->s->echo && i < prompt->count; i++)
        print(run, prompt->ids[i]);
    double since = now();
    const float *last = take_tokens(run, prompt);
    report_speed(g, "prompt", prompt->count, since, 0);
    double library = g->library_seconds;
    since = now();
    generate(run, last);
    printf("%s", run->s->ids ? "" : "\n");
    report_speed(g, "generated", run->generated, since, library);
    report_memory(g);
    if (run->logits != NULL)
        close_file(run->logits, run->s->logits);
}

int main(int argc, char **argv) {
    settings s = take_settings(argc, argv);
    model m;
    vocabulary v;
    graph g;
    model_open(&m, s.model);
    vocabulary_open(&v, &m.file, m.vocabulary);
    token_list prompt = take_prompt(&s, &v);
    size_t positions = prompt.count + s.generate;
    if (positions > m.context)
        die("%zu tokens of the prompt and %zu to generate (limit %zu, the model's context)", prompt.count, s.generate,
            m.context);
    s.batch = s.batch < prompt.count ? s.batch : prompt.count;
    /* With logits of all positions, the number of rows in the file must be known before. */
    s.ignore_end = s.ignore_end || s.logits != NULL;
    graph_create(&g, &m, s.precision, s.threads, positions, s.batch, s.logits != NULL ? s.batch : 1);
    session run = {.s = &s, .g = &g, .v = &v};
    run_model(&run, &prompt);
    graph_destroy(&g);
    free(prompt.ids);
    vocabulary_close(&v);
    model_close(&m);
    if (fflush(stdout) != 0)
        die("standard output: %s", strerror(errno));
    return 0;
}
