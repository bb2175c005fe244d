// SPDX-License-Identifier: Apache-2.0
#include "cmd/limit_show.h"

#include <math.h>
#include <stdio.h>

#include "base/mem.h"

void limit_show_clear(struct limit_show *s)
{
    if (s->line_drawn) {
        fputs("\r\033[K", stderr);
        s->line_drawn = false;
    }
}

static void draw_progress(struct limit_show *s, const struct limit_run_event *e)
{
    int full = (int)(e->progress * 20);
    char estimate[40] = "";

    if (e->estimate > 0) {
        snprintf(estimate, sizeof(estimate), ", about %.4g/s", e->estimate);
    }
    fprintf(stderr, "\r\033[K%-9s [%.*s%*s] %.4g/s%s, %.0f s left", e->phase, full,
            "====================", 20 - full, "", e->rate, estimate, MAX(e->budget - e->spent, 0));
    s->line_drawn = true;
}

static void print_probe(struct limit_show *s, const struct limit_run_event *e)
{
    limit_show_clear(s);
    fprintf(stderr, "%5.0f s  %-8s %9.4g/s  bad %6.2f %%%s", e->spent, e->phase, e->rate,
            100 * e->worst_share, e->generator_bound ? "  generator-bound, not counted" : "");
    if (e->estimate > 0) {
        fprintf(stderr, "  limit about %.4g/s", e->estimate);
    }
    fprintf(stderr, "  (%.0f s left)\n", MAX(e->budget - e->spent, 0));
}

static void print_json_event(const struct limit_run_event *e)
{
    fprintf(stderr,
            "{\"event\":\"%s\",\"phase\":\"%s\",\"rate\":%.6g,\"spent\":%.2f,\"budget\":%.0f,"
            "\"progress\":%.3f,\"bad\":%.6g,\"generator_bound\":%s,\"estimate\":%.6g}\n",
            e->finished ? "probe" : "progress", e->phase, e->rate, e->spent, e->budget, e->progress,
            e->worst_share, e->generator_bound ? "true" : "false", e->estimate);
}

void limit_show_event(void *arg, const struct limit_run_event *e)
{
    struct limit_show *s = arg;

    if (s->json) {
        print_json_event(e);
    } else if (s->quiet) {
        return;
    } else if (e->finished) {
        print_probe(s, e);
    } else if (s->terminal) {
        draw_progress(s, e);
    }
}

static void print_rate(const struct limit_run_result *r)
{
    const struct limit_result *l = &r->limit;

    if (l->rate <= 0) {
        printf("no rate");
    } else if (l->verdict == LIMIT_LOWER_BOUND || l->verdict == LIMIT_NOT_REACHED) {
        printf("at least %.4g %s", l->rate, r->unit);
    } else if (l->high - l->low > 0.1 * l->rate) {
        printf("%.4g to %.4g %s", l->low, l->high, r->unit);
    } else {
        printf("%.4g %s [%.4g, %.4g]", l->rate, r->unit, l->low, l->high);
    }
}

static void print_generator(const struct limit_run_result *r)
{
    printf("  generator   ");
    if (r->calibrated) {
        printf("headroom %.1f×", r->headroom);
    } else {
        printf("headroom %s", r->calibration);
    }
    printf(", %.0f %% of the machine%s\n", 100 * r->generator_share,
           r->colocated ? ", co-located with the target" : "");
}

void limit_show_text(const struct limit_show *s, const struct limit_run_result *r)
{
    const struct limit_result *l = &r->limit;

    printf("%s: ", s->target);
    print_rate(r);
    printf("\n  verdict     %s", limit_verdict_name(l->verdict));
    if (l->reason != LIMIT_REASON_NONE) {
        printf(" (%s)", limit_reason_name(l->reason));
    }
    if (l->confirmed > 0) {
        printf(", held at %.4g/s", l->confirmed);
    }
    if (l->breached > 0) {
        printf(", broke at %.4g/s", l->breached);
    }
    printf("\n");
    if (r->objective[0]) {
        printf("  binds       %s\n", r->objective);
    }
    if (l->saturation > 0) {
        printf("  saturation  %.4g/s\n", l->saturation);
    }
    print_generator(r);
    printf("  spent       %.0f s, %d probes", r->seconds, l->probes);
    if (l->discarded > 0) {
        printf(" (%d lost to the generator)", l->discarded);
    }
    printf(", seed %llu\n", (unsigned long long)s->seed);
}
