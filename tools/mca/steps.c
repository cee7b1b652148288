/* SPDX-License-Identifier: MIT */
/*
 * For mca-table: steps PROGRAM ARGUMENT...
 *
 * Runs a program, and between the first SIGUSR1 that it gets and the second prints the address of each instruction that
 * it runs, in hexadecimal. Needs no more of the CPU than that it runs the program.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

_Noreturn static void fail(const char *what) {
    perror(what);
    exit(EXIT_FAILURE);
}

_Noreturn static void run(char **arguments) {
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0) {
        execv(arguments[0], arguments);
    }
    fail(arguments[0]);
}

static unsigned long long program_counter(pid_t child) {
    struct user_regs_struct registers;
    struct iovec place = {&registers, sizeof registers};
    if (ptrace(PTRACE_GETREGSET, child, (void *)NT_PRSTATUS, &place) != 0) {
        fail("steps: registers");
    }
#if defined(__x86_64__)
    return registers.rip;
#elif defined(__aarch64__)
    return registers.pc;
#else
#error "which register is the program counter?"
#endif
}

int main(int argc, char **argv) {
    int status, marks = 0;
    pid_t child = argc > 1 ? fork() : -1;
    if (child < 0) {
        fail("steps");
    }
    if (child == 0) {
        run(argv + 1);
    }
    while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
        const bool trap = WSTOPSIG(status) == SIGTRAP;
        marks += WSTOPSIG(status) == SIGUSR1;
        if (marks == 1) {
            printf("%llx\n", program_counter(child));
        }
        /* SIGTRAP is this program's own doing. */
        if (ptrace(marks == 1 ? PTRACE_SINGLESTEP : PTRACE_CONT, child, NULL,
                   (void *)(long)(trap ? 0 : WSTOPSIG(status))) != 0) {
            fail("steps: going on");
        }
    }
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "steps: the program was ended by signal %d\n", WTERMSIG(status));
    }
    return marks == 2 && WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}
