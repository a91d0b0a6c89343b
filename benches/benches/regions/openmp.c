/* regions BODY_NS BEFORE REGIONS: microseconds a parallel region of OpenMP, whose body computes for so long by the clock on
   each thread; after some regions that do not count. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static void body(double ns) {
  if (ns > 0) {
    double start = now();
    while (now() - start < ns) {
    }
  }
}

static void region(int threads, double ns) {
#pragma omp parallel for schedule(static)
  for (int i = 0; i < threads; i++) {
    body(ns);
    __asm__ volatile("" ::: "memory"); /* a loop of nothing is left out else */
  }
}

int main(int argc, char **argv) {
  if (argc != 4) {
    return 2;
  }
  double ns = atof(argv[1]);
  int before = atoi(argv[2]), regions = atoi(argv[3]), threads = omp_get_max_threads();
  for (int i = 0; i < before; i++) {
    region(threads, ns);
  }
  double start = now();
  for (int i = 0; i < regions; i++) {
    region(threads, ns);
  }
  printf("%.4f\n", (now() - start) / 1e3 / regions);
  return 0;
}
