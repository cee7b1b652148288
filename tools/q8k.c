/* SPDX-License-Identifier: MIT */
/* The command q8k: its subcommands, and what happens before and after one runs. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "escape.h"

static const command *const commands[] = {&command_info,   &command_inspect, &command_quantize, &command_dequantize,
                                          &command_matmul, &command_verify,  &command_compare,  &command_bench};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static const char *running = "";

__attribute__((format(printf, 1, 0))) static void say(const char *format, va_list arguments) {
    fprintf(stderr, "q8k%s%s: ", *running ? " " : "", running);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

void command_say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
}

int command_fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    return EXIT_FAILURE;
}

static void print_help(FILE *to) {
    fputs("usage: q8k SUBCOMMAND [ARGUMENT]...\n"
          "float32 activations times K-quantized weights, and the GGUF and .npy files that hold them.\n\n",
          to);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        fprintf(to, "  %-12s  %s\n", commands[i]->name, commands[i]->summary);
    }
    fputs("\n  --help        print this help; after a subcommand, its own\n"
          "  --version     print the version\n\n"
          "Exit status: 0 success, 1 failure, 2 a wrong command line. Messages go to standard error.\n"
          "Environment: Q8K_BACKEND names the one backend to use, Q8K_BACKEND_DIR the absolute folder of the\n"
          "plugins; Q8K_VERBOSE=1 tells on standard error what was chosen and why.\n",
          to);
}

static int run_command(const char *name, int argc, char **argv) {
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(name, commands[i]->name) == 0) {
            command_arguments arguments;
            int status;
            running = commands[i]->name;
            return command_parse(commands[i], argc, argv, &arguments, &status) ? commands[i]->run(&arguments) : status;
        }
    }
    char shown[256];
    command_say("subcommand = '%s' (limit info, inspect, quantize, dequantize, matmul, verify, compare, bench)",
                escape_text(shown, sizeof shown, name, strlen(name)));
    fputs("Try 'q8k --help'.\n", stderr);
    return EXIT_USAGE;
}

int main(int argc, char **argv) {
    int status = EXIT_SUCCESS;
    /* Writing to a closed pipe, or beyond a limit on the size of files, is to be an error that can be reported. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0) {
        print_help(stdout);
    } else if (strcmp(argv[1], "--version") == 0) {
        printf("q8k %s\n", q8k_version());
    } else {
        status = run_command(argv[1], argc - 1, argv + 1);
    }
    errno = 0;
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == EXIT_SUCCESS) {
        return command_fail("cannot write to standard output: %s", strerror(errno));
    }
    return status;
}
