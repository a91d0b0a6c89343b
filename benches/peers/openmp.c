/* A stencil as it is written by hand: rows that the compiler turns into vector code, OpenMP over slabs of the slowest axis,
 * blocks of rows in three dimensions, rows padded, huge pages, first touch by the thread that computes. With -DWITH_MPI the
 * slowest axis is also cut into ranks, whose border planes go by MPI_Isend before each step. */
#include "peer.h"
#ifdef _OPENMP
#include <omp.h>
#else
#define omp_get_max_threads() 1
#define omp_get_thread_num() 0
#define omp_get_num_threads() 1
#endif

/* Cells beside an interior row: whole lines, so that rows begin at one. */
enum { PAD = 64 / sizeof(T) };
/* Rows of a block, so that the planes around it stay in the second-level cache. */
enum { BLOCK = DIM == 3 ? 32 : 1 };

static long n, rows, planes, first, pitch, plane;

/* Where the first cell of a row lies. In two dimensions a plane is one row. */
static inline T *at(T *u, long y, long z)
{
    return u + (z + R) * plane + (DIM == 3 ? y + R : 0) * pitch + PAD;
}

static inline void row(T *restrict out, const T *restrict c, long sy, long sz)
{
#if defined(WAVE)
    const T h = 0.1;
    const T k0 = 2.0 + 3.0 * 0.1 * (-205.0 / 72.0);
    const T k1 = h * (T)(8.0 / 5.0), k2 = h * (T)(-1.0 / 5.0), k3 = h * (T)(8.0 / 315.0), k4 = h * (T)(-1.0 / 560.0);
#define SIX(k) ((c[i - k] + c[i + k]) + (c[i - k * sy] + c[i + k * sy]) + (c[i - k * sz] + c[i + k * sz]))
#pragma GCC ivdep
    for (long i = 0; i < n; i++)
        out[i] = (k0 * c[i] - out[i]) + ((k3 * SIX(3) + k4 * SIX(4)) + (k1 * SIX(1) + k2 * SIX(2)));
#else
#pragma GCC ivdep
    for (long i = 0; i < n; i++) {
        T sum = (c[i - 1] + c[i + 1]) + (c[i - sz] + c[i + sz]);
        if (DIM == 3)
            out[i] = (T)0.25 * c[i] + (T)0.125 * (sum + (c[i - sy] + c[i + sy]));
        else
            out[i] = (T)0.5 * c[i] + (T)0.125 * sum;
    }
#endif
}

static void step(T *now, T *next)
{
#pragma omp parallel
    {
        long me = omp_get_thread_num(), all = omp_get_num_threads();
        long low = planes * me / all, high = planes * (me + 1) / all;
        for (long block = 0; block < rows; block += BLOCK)
            for (long z = low; z < high; z++)
                for (long y = block; y < rows && y < block + BLOCK; y++)
                    row(at(next, y, z), at(now, y, z), pitch, plane);
    }
}

/* Border planes to the neighbours, whole with their pads. */
static void exchange(T *u)
{
#ifdef WITH_MPI
    MPI_Request requests[4];
    int count = 0, bytes = R * plane * sizeof(T);
    for (int side = 0; side < 2; side++) {
        int other = side ? rank + 1 : rank - 1;
        if (other < 0 || other >= ranks)
            continue;
        MPI_Irecv(u + (side ? planes + R : 0) * plane, bytes, MPI_BYTE, other, 1 - side, MPI_COMM_WORLD, &requests[count++]);
        MPI_Isend(u + (side ? planes : R) * plane, bytes, MPI_BYTE, other, side, MPI_COMM_WORLD, &requests[count++]);
    }
    MPI_Waitall(count, requests, MPI_STATUSES_IGNORE);
#else
    (void)u;
#endif
}

static T *field(void)
{
    T *u = pages((planes + 2 * R) * plane * sizeof(T));
#pragma omp parallel
    {
        long me = omp_get_thread_num(), all = omp_get_num_threads();
        long low = planes * me / all, high = planes * (me + 1) / all;
        low = me ? low + R : 0, high = me + 1 == all ? planes + 2 * R : high + R;
        memset(u + low * plane, 0, (high - low) * plane * sizeof(T));
        for (long z = low - R; z < high - R; z++)
            for (long y = 0; y < rows && z >= 0 && z < planes; y++)
                for (long x = 0; x < n; x++)
                    at(u, y, z)[x] = DIM == 3 ? start(x, y, first + z) : start(x, first + z, 0);
    }
    return u;
}

int main(int argc, char **argv)
{
#ifdef WITH_MPI
    int level;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
#endif
    n = atol(option(argc, argv, "cells", "256"));
    long steps = atol(option(argc, argv, "steps", "16"));
    int batches = atoi(option(argc, argv, "batches", "3"));
    const char *check = option(argc, argv, "check", NULL);
    first = n * rank / ranks;
    planes = n * (rank + 1) / ranks - first;
    if (planes < R) {
        fprintf(stderr, "%ld cells are too few for %d ranks\n", n, ranks);
        return 2;
    }
    rows = DIM == 3 ? n : 1;
    /* One line more where a row would be a multiple of a page: equal sets of the cache. */
    pitch = (n + 2 * PAD + PAD - 1) / PAD * PAD;
    pitch += pitch * sizeof(T) % 4096 ? 0 : PAD;
    plane = (DIM == 3 ? n + 2 * R : 1) * pitch;
    T *now_at = field(), *next = field();
    double *rates = malloc((batches + 1) * sizeof *rates);
    /* The first batch warms up, or is all that is checked. */
    for (int batch = 0; batch < (check ? 1 : batches + 1); batch++) {
        meet();
        double begin = now();
        for (long k = 0; k < steps; k++) {
            exchange(now_at);
            step(now_at, next);
            T *swap = now_at;
            now_at = next, next = swap;
        }
        meet();
        double cells = DIM == 3 ? (double)n * n * n : (double)n * n;
        rates[batch] = cells * steps / (now() - begin);
    }
    if (check) {
        int file = check_file(check);
        for (long z = 0; z < planes; z++)
            for (long y = 0; y < rows; y++)
                check_row(file, at(now_at, y, z), n, ((first + z) * rows + y) * n);
        close(file);
    } else {
        double copy = copy_rate();
        print("gcc " __VERSION__, rates + 1, batches, copy, omp_get_max_threads());
    }
#ifdef WITH_MPI
    MPI_Finalize();
#endif
    return 0;
}
