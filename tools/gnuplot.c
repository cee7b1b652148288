/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"

enum { PIECE_BYTES = 65536 };

extern char **environ;

/* Starts it with the script as standard input, and `output` as standard output. Returns 0 or what is wrong. */
static int start(FILE *script, int output, pid_t *child) {
    static char name[] = "gnuplot", defaults[] = "-d";
    char *const arguments[] = {name, defaults, NULL};
    posix_spawn_file_actions_t actions;
    int wrong = posix_spawn_file_actions_init(&actions);
    if (wrong != 0) {
        return wrong;
    }
    if ((wrong = posix_spawn_file_actions_adddup2(&actions, fileno(script), STDIN_FILENO)) == 0 &&
        (wrong = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)) == 0) {
        wrong = posix_spawnp(child, name, &actions, NULL, arguments, environ);
    }
    posix_spawn_file_actions_destroy(&actions);
    return wrong;
}

/* Everything up to the end. */
static bool read_all(int input, char **printed, size_t *bytes) {
    FILE *to = open_memstream(printed, bytes);
    char piece[PIECE_BYTES];
    ssize_t count;
    if (to == NULL) {
        return false;
    }
    while ((count = read(input, piece, sizeof piece)) > 0 || (count < 0 && errno == EINTR)) {
        fwrite(piece, 1, count > 0 ? (size_t)count : 0, to);
    }
    bool good = count == 0 && ferror(to) == 0;
    if (fclose(to) == 0 && good) {
        return true;
    }
    free(*printed);
    return false;
}

/* Whether it ended well; else says how. */
static bool await(pid_t child) {
    int status;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            command_say("gnuplot: %s", strerror(errno));
            return false;
        }
    }
    if (WIFSIGNALED(status)) {
        command_say("gnuplot was ended by signal %d", WTERMSIG(status));
    } else if (WEXITSTATUS(status) != 0) {
        command_say("gnuplot failed with exit status %d", WEXITSTATUS(status));
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool gnuplot_run(FILE *script, char **printed, size_t *bytes) {
    int ends[2];
    pid_t child;
    if (fflush(script) != 0 || ferror(script) || lseek(fileno(script), 0, SEEK_SET) < 0 ||
        pipe2(ends, O_CLOEXEC) != 0) {
        command_say("gnuplot cannot be given its script: %s", strerror(errno));
        return false;
    }
    int wrong = start(script, ends[1], &child);
    close(ends[1]);
    if (wrong != 0) {
        close(ends[0]);
        command_say("--plot needs gnuplot, which cannot be run: %s", strerror(wrong));
        return false;
    }
    bool all = read_all(ends[0], printed, bytes);
    close(ends[0]);
    bool good = await(child);
    if (!all) {
        command_say("no memory for a picture");
    } else if (!good) {
        free(*printed);
    }
    return good && all;
}

bool gnuplot_ready(void) {
    char *printed;
    size_t bytes;
    FILE *script = tmpfile();
    if (script == NULL) {
        command_say("no temporary file for gnuplot: %s", strerror(errno));
        return false;
    }
    fputs("set terminal svg\n", script);
    bool ready = gnuplot_run(script, &printed, &bytes);
    if (ready) {
        free(printed);
    }
    fclose(script);
    return ready;
}

void gnuplot_quote(FILE *script, const char *text) {
    putc('\'', script);
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            putc('\'', script);
        }
        /* A line is where gnuplot's quotes end. */
        putc((unsigned char)*text < ' ' ? ' ' : *text, script);
    }
    putc('\'', script);
}
