/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

#include "common.h"
#include "options.h"

static const char usage_text[] =
    "usage: llm [OPTION...] MODEL.gguf\n"
    "\n"
    "  --prompt TEXT         what to continue, by the model's own vocabulary\n"
    "  --tokens ID,ID,...    the same as token ids; or @FILE with ids in it\n"
    "  --generate N          tokens to add (default 32); fewer if the model ends the text\n"
    "  --echo                print the prompt too\n"
    "  --ids                 print ids instead of text\n"
    "  --precision NAME      float (default), half or byte: how many bits of activations count\n"
    "  --threads N           default: one for each CPU\n"
    "  --batch N             tokens of the prompt taken at once (default 256); 1: one by one, as in generating\n"
    "  --temp T              0 (default): the likeliest token; else as random as T\n"
    "  --seed N              for --temp\n"
    "  --logits FILE.npy     write the logits of all positions\n"
    "  --ignore-end          go on after the token that ends a text\n"
    "Speed and memory are told on standard error.\n";

size_t whole_number(const char *name, const char *value, size_t least, size_t most) {
    char *end;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (*value < '0' || *value > '9' || *end != '\0' || errno != 0 || number < least || number > most)
        die("--%s = '%s' (limit %zu to %zu)", name, value, least, most);
    return (size_t)number;
}

static double temperature(const char *value) {
    char *end;
    double number = strtod(value, &end);
    if (*value == '\0' || *end != '\0' || !(number >= 0 && number <= 1000))
        die("--temp = '%s' (limit 0 to 1000)", value);
    return number;
}

static void take_option(settings *s, int option, const char *value) {
    switch (option) {
    case 'p':
        s->prompt = value;
        break;
    case 't':
        s->tokens = value;
        break;
    case 'g':
        s->generate = whole_number("generate", value, 0, 1 << 20);
        break;
    case 'c':
        s->echo = true;
        break;
    case 'i':
        s->ids = true;
        break;
    case 'r':
        need(q8k_precision_from_name(value, &s->precision), "--precision", value);
        break;
    case 'n':
        s->threads = whole_number("threads", value, 1, 1024);
        break;
    case 'b':
        s->batch = whole_number("batch", value, 1, 1 << 16);
        break;
    case 'e':
        s->temperature = temperature(value);
        break;
    case 's':
        s->seed = whole_number("seed", value, 0, SIZE_MAX);
        break;
    case 'l':
        s->logits = value;
        break;
    case 'x':
        s->ignore_end = true;
        break;
    case 'h':
        fputs(usage_text, stdout);
        exit(0);
    default:
        fputs(usage_text, stderr);
        exit(2);
    }
}

settings take_settings(int argc, char **argv) {
    static const struct option options[] = {{"prompt", required_argument, NULL, 'p'},
                                            {"tokens", required_argument, NULL, 't'},
                                            {"generate", required_argument, NULL, 'g'},
                                            {"ids", no_argument, NULL, 'i'},
                                            {"precision", required_argument, NULL, 'r'},
                                            {"threads", required_argument, NULL, 'n'},
                                            {"batch", required_argument, NULL, 'b'},
                                            {"temp", required_argument, NULL, 'e'},
                                            {"echo", no_argument, NULL, 'c'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"logits", required_argument, NULL, 'l'},
                                            {"ignore-end", no_argument, NULL, 'x'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    settings s = {.generate = 32, .threads = cpus < 1 ? 1 : (size_t)cpus, .batch = 256};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        take_option(&s, option, optarg);
    if (optind + 1 != argc || (s.prompt != NULL) == (s.tokens != NULL)) {
        fputs(usage_text, stderr);
        exit(2);
    }
    s.model = argv[optind];
    return s;
}
