/* What the peers written in C share: options, the cells at the start, the copy bandwidth, and what is printed. Each program
 * is compiled for one case (-DCASE_...), so that the compiler knows all strides but those of the size. */
#ifndef PEER_H
#define PEER_H
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_MPI
#include <mpi.h>
#endif

#if defined(CASE_heat_2d_f64)
enum { DIM = 2, R = 1 };
typedef double T;
#elif defined(CASE_heat_3d_f64)
enum { DIM = 3, R = 1 };
typedef double T;
#elif defined(CASE_heat_3d_f32)
enum { DIM = 3, R = 1 };
typedef float T;
#elif defined(CASE_wave_3d_f32)
#define WAVE
enum { DIM = 3, R = 4 };
typedef float T;
#else
#error "one of the cases: -DCASE_heat_2d_f64 ..."
#endif

#ifdef _OPENMP
#define PARALLEL_FOR _Pragma("omp parallel for schedule(static)")
#else
#define PARALLEL_FOR
#endif

static int rank = 0, ranks = 1;

static const char *option(int argc, char **argv, const char *key, const char *otherwise)
{
    for (int i = 1; i + 1 < argc; i++)
        if (!strncmp(argv[i], "--", 2) && !strcmp(argv[i] + 2, key))
            return argv[i + 1];
    return otherwise;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void meet(void)
{
#ifdef WITH_MPI
    MPI_Barrier(MPI_COMM_WORLD);
#endif
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

/* The cells at the start, exact in both precisions. */
static T start(long x, long y, long z)
{
    return (T)((7 * x + 11 * y + 13 * z) % 64) / (T)64;
}

/* Memory in huge pages where there are some; not touched yet. */
static void *pages(size_t bytes)
{
    size_t huge = 2 << 20;
    void *memory = aligned_alloc(huge, (bytes + huge - 1) / huge * huge);
    if (!memory)
        fail("aligned_alloc");
    madvise(memory, (bytes + huge - 1) / huge * huge, MADV_HUGEPAGE);
    return memory;
}

/* Bytes per second, read and written, of a copy in pieces of 1 MiB, by all threads of all ranks: 512 MiB in all. */
static double copy_rate(void)
{
    const long piece = 1 << 20, pieces = 256 / ranks;
    char *from = pages(pieces * piece), *into = pages(pieces * piece);
    double best = 1e9;
    PARALLEL_FOR
    for (long i = 0; i < pieces; i++)
        memset(from + i * piece, 1, piece), memset(into + i * piece, 2, piece);
    for (int k = 0; k < 6; k++) {
        meet();
        double begin = now();
        PARALLEL_FOR
        for (long i = 0; i < pieces; i++)
            memcpy(into + i * piece, from + i * piece, piece);
        meet();
        double took = now() - begin;
        best = took < best ? took : best;
    }
    free(from), free(into);
    return 2.0 * pieces * piece * ranks / best;
}

/* A row of cells to its place in the file of all. */
static void check_row(int file, const T *cells, long count, long first)
{
    double *wide = malloc(count * sizeof *wide);
    for (long i = 0; i < count; i++)
        wide[i] = cells[i];
    if (pwrite(file, wide, count * sizeof *wide, first * sizeof *wide) != (ssize_t)(count * sizeof *wide))
        fail("check");
    free(wide);
}

static int check_file(const char *path)
{
    int file = open(path, O_WRONLY | O_CREAT, 0644);
    if (file < 0)
        fail(path);
    return file;
}

static void print(const char *version, const double *rates, int batches, double copy, int threads)
{
    if (rank)
        return;
    printf("{\"version\": \"%s\", \"rates\": [", version);
    for (int i = 0; i < batches; i++)
        printf("%s%.6e", i ? ", " : "", rates[i]);
    printf("], \"copy\": %.6e, \"ranks\": %d, \"threads\": %d}\n", copy, ranks, threads);
}
#endif
