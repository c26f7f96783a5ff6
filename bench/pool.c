/* What a pool_run costs beyond the work: a job of two items that do nothing, after a pause of 0, 5 or 100 us on the caller's thread
 * (workers still look, are about to sleep, sleep). Prints the median microseconds of a call. */
#include "../src/base/pool.h"

#include <stdio.h>
#include <stdlib.h>

#define N_RUNS 20000

static void nothing(void *context, int32_t item, int32_t thread) { (void)context, (void)item, (void)thread; }

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median_us(pool *p, double pause_us) {
  static double us[N_RUNS];
  int32_t n = pause_us > 50 ? N_RUNS / 10 : N_RUNS;
  for (int32_t i = 0; i < n; i++) {
    double start = now_ms();
    while (now_ms() - start < pause_us * 1e-3) {}
    start = now_ms();
    pool_run(p, nothing, NULL, 2);
    us[i] = (now_ms() - start) * 1e3;
  }
  qsort(us, (size_t)n, sizeof *us, compare);
  return us[n / 2];
}

int main(void) {
  printf("threads  pause 0 us  pause 5 us  pause 100 us   (us a call)\n");
  for (int32_t n_threads = 1; n_threads <= 4; n_threads *= 2) {
    pool *p = pool_open(n_threads);
    if (p == NULL) return 1;
    printf("%7d  %10.2f  %10.2f  %12.2f\n", n_threads, median_us(p, 0), median_us(p, 5), median_us(p, 100));
    pool_close(p);
  }
  return 0;
}
