// SPDX-License-Identifier: Apache-2.0
#include "cmd/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"

enum { BAR = 26, WIDE_BAR = 38 };

static void erase(struct progress *p)
{
    if (p->drawn) {
        fputs("\r\033[K", stdout);
        fflush(stdout);
        p->drawn = false;
    }
}

static void draw(struct progress *p)
{
    fputs(p->line, stdout);
    fflush(stdout);
    p->drawn = true;
}

// Log lines must not tear the live line.
static void on_log(bool before, void *arg)
{
    struct progress *p = arg;

    if (before) {
        erase(p);
    } else if (p->line[0]) {
        draw(p);
    }
}

void progress_init(struct progress *p, const struct run_options *o, bool quiet, bool events)
{
    *p = (struct progress){.options = o, .quiet = quiet, .events = events};
    p->live = !quiet && !events && isatty(STDOUT_FILENO);
    if (p->live) {
        log_set_hook(on_log, p);
    }
}

void progress_fini(struct progress *p)
{
    if (p->live) {
        log_set_hook(NULL, NULL);
        erase(p);
    }
}

static const char *duration(nsec_t d, char *buf, unsigned size)
{
    return units_format_duration(d, buf, size);
}

static void add_vus(struct strbuf *b, const struct scenario_options *s)
{
    if (s->max_vus > s->pre_allocated_vus) {
        strbuf_addf(b, "maxVUs: %llu-%llu", (unsigned long long)s->pre_allocated_vus,
                    (unsigned long long)s->max_vus);
    } else {
        strbuf_addf(b, "maxVUs: %llu", (unsigned long long)s->pre_allocated_vus);
    }
}

static double most_rate(const struct scenario_options *s)
{
    double most = s->start_rate;

    for (unsigned i = 0; i < s->stage_count; i++) {
        most = MAX(most, (double)s->stages[i].target);
    }
    return most * NSEC_PER_SEC / (double)s->time_unit;
}

static void describe(struct strbuf *b, const struct scenario_options *s)
{
    char a[40], c[40];
    unsigned long long vus = scenario_max_vus(s), iterations = s->iterations;

    switch (s->executor) {
    case EXECUTOR_SHARED_ITERATIONS:
        strbuf_addf(b, "%llu iterations shared among %llu VUs (maxDuration: %s, ", iterations, vus,
                    duration(s->max_duration, a, sizeof(a)));
        break;
    case EXECUTOR_PER_VU_ITERATIONS:
        strbuf_addf(b, "%llu iterations for each of %llu VUs (maxDuration: %s, ", iterations, vus,
                    duration(s->max_duration, a, sizeof(a)));
        break;
    case EXECUTOR_CONSTANT_VUS:
        strbuf_addf(b, "%llu looping VUs for %s (", vus, duration(s->duration, a, sizeof(a)));
        break;
    case EXECUTOR_RAMPING_VUS:
        strbuf_addf(b, "Up to %llu looping VUs for %s over %u stages (gracefulRampDown: %s, ", vus,
                    duration(scenario_duration(s), a, sizeof(a)), s->stage_count,
                    duration(s->graceful_ramp_down, c, sizeof(c)));
        break;
    case EXECUTOR_CONSTANT_ARRIVAL_RATE:
        strbuf_addf(b, "%.2f iterations/s for %s (", s->rate * NSEC_PER_SEC / (double)s->time_unit,
                    duration(s->duration, a, sizeof(a)));
        add_vus(b, s);
        strbuf_adds(b, ", ");
        break;
    case EXECUTOR_RAMPING_ARRIVAL_RATE:
        strbuf_addf(b, "Up to %.2f iterations/s for %s over %u stages (", most_rate(s),
                    duration(scenario_duration(s), a, sizeof(a)), s->stage_count);
        add_vus(b, s);
        strbuf_adds(b, ", ");
        break;
    case EXECUTOR_N_:
        break;
    }
    if (strcmp(s->exec, "default") != 0) {
        strbuf_addf(b, "exec: %s, ", s->exec);
    }
    if (s->start_time) {
        strbuf_addf(b, "startTime: %s, ", duration(s->start_time, a, sizeof(a)));
    }
    strbuf_addf(b, "gracefulStop: %s)", duration(s->graceful_stop, a, sizeof(a)));
}

void progress_header(const struct progress *p, const char *script)
{
    const struct run_options *o = p->options;
    CLEANUP(strbuf_fini) struct strbuf b = STRBUF_NULL;
    char text[40];

    if (p->quiet || p->events) {
        return;
    }
    strbuf_addf(&b, "\n     execution: local\n        script: %s\n        output: ", script);
    for (unsigned i = 0; o->outputs && o->outputs[i]; i++) {
        strbuf_addf(&b, "%s%s", i ? ", " : "", o->outputs[i]);
    }
    strbuf_addf(&b,
                "%s\n\n     scenarios: (100.00%%) %u scenario%s, %llu max VUs, %s max duration "
                "(incl. graceful stop):\n",
                o->outputs && o->outputs[0] ? "" : "-", o->scenario_count,
                o->scenario_count == 1 ? "" : "s", (unsigned long long)options_max_vus(o),
                duration(options_max_duration(o), text, sizeof(text)));
    for (unsigned i = 0; i < o->scenario_count; i++) {
        strbuf_addf(&b, "              * %s: ", o->scenarios[i].name);
        describe(&b, &o->scenarios[i]);
        strbuf_addc(&b, '\n');
    }
    puts(strbuf_str(&b));
    fflush(stdout);
}

static const char *clock_text(nsec_t d, char *buf, unsigned size)
{
    double s = (double)d / NSEC_PER_SEC;
    int hours = (int)(s / 3600), minutes = (int)(s / 60) % 60;

    if (hours) {
        snprintf(buf, size, "%dh%02dm%04.1fs", hours, minutes, s - 60 * (60 * hours + minutes));
    } else {
        snprintf(buf, size, "%dm%04.1fs", minutes, s - 60 * minutes);
    }
    return buf;
}

static nsec_t regular_duration(const struct run_options *o)
{
    nsec_t most = 0;

    for (unsigned i = 0; i < o->scenario_count; i++) {
        most = MAX(most, o->scenarios[i].start_time + scenario_duration(&o->scenarios[i]));
    }
    return most;
}

static void live_line(struct progress *p,
                      const struct engine_status *s,
                      const struct aggregate *results,
                      nsec_t elapsed,
                      double rate)
{
    char bar[BAR + 1], passed[32], left[32];
    struct metric_result checks = {0};
    int filled = (int)(s->progress * BAR);
    size_t n;

    for (int i = 0; i < BAR; i++) {
        bar[i] = i < filled ? '=' : i == filled ? '>' : '-';
    }
    bar[BAR] = 0;
    // Iterations tell better than the clock how long a run by iterations still takes.
    nsec_t regular = regular_duration(p->options) - elapsed;
    nsec_t expected =
        s->progress > 0.02 ? (nsec_t)((double)elapsed / s->progress * (1 - s->progress)) : regular;
    n = (size_t)snprintf(p->line, sizeof(p->line),
                         "\r\033[K%s [%s] %3.0f%%  %llu/%llu VUs  %llu iterations (%.0f/s)",
                         clock_text(elapsed, passed, sizeof(passed)), bar, s->progress * 100,
                         (unsigned long long)s->vus_active, (unsigned long long)s->vus_max,
                         (unsigned long long)s->iterations, rate);
    if (results && aggregate_find(results, "checks", &checks) && checks.count) {
        n += (size_t)snprintf(p->line + n, sizeof(p->line) - n, "  checks %.2f%%",
                              100 * (double)checks.trues / (double)checks.count);
    }
    snprintf(p->line + n, sizeof(p->line) - n, "%s  %s left",
             s->generator_late ? "  generator late!" : "",
             clock_text(MAX(MIN(expected, regular), 0), left, sizeof(left)));
    draw(p);
}

static void
plain_lines(struct progress *p, const struct engine_status *s, nsec_t elapsed, bool ended)
{
    const struct run_options *o = p->options;
    char passed[32], whole[32], bar[WIDE_BAR + 1];

    printf("%srunning (%s), %02llu/%llu VUs, %llu complete and %llu interrupted iterations\n",
           ended ? "\n" : "", clock_text(elapsed, passed, sizeof(passed)),
           (unsigned long long)s->vus_active, (unsigned long long)s->vus_max,
           (unsigned long long)s->iterations, (unsigned long long)s->interrupted);
    for (unsigned i = 0; i < o->scenario_count; i++) {
        const struct scenario_options *one = &o->scenarios[i];
        double share = engine_scenario_progress(p->engine, i);
        for (int c = 0; c < WIDE_BAR; c++) {
            bar[c] = c < (int)(share * WIDE_BAR) ? '=' : '-';
        }
        bar[WIDE_BAR] = 0;
        printf("%s %s [%s] %3.0f%% %llu VUs  %s/%s\n", one->name,
               share >= 1 ? "\xe2\x9c\x93"
               : ended    ? "\xe2\x9c\x97"
                          : " ",
               bar, share * 100, (unsigned long long)scenario_max_vus(one), passed,
               units_format_duration(scenario_duration(one), whole, sizeof(whole)));
    }
    fflush(stdout);
}

static void event(const struct engine_status *s, nsec_t elapsed, double rate)
{
    fprintf(stderr,
            "{\"t\":%lld,\"source\":\"run\",\"kind\":\"progress\",\"elapsed\":%.3f,"
            "\"progress\":%.4f,\"vus\":%llu,\"vusInitialized\":%llu,\"iterations\":%llu,"
            "\"interrupted\":%llu,\"dropped\":%llu,\"rate\":%.1f,\"generatorLate\":%s}\n",
            (long long)s->now, (double)elapsed / NSEC_PER_SEC, s->progress,
            (unsigned long long)s->vus_active, (unsigned long long)s->vus_initialized,
            (unsigned long long)s->iterations, (unsigned long long)s->interrupted,
            (unsigned long long)s->dropped, rate, s->generator_late ? "true" : "false");
}

void progress_tick(void *arg, const struct engine_status *s, const struct aggregate *results)
{
    struct progress *p = arg;
    nsec_t elapsed = MAX(s->now - s->started, 0), since = s->now - p->last;
    double rate = p->last && since > 0
                      ? (double)(s->iterations - p->last_iterations) * NSEC_PER_SEC / (double)since
                      : 0;

    p->last = s->now;
    p->last_iterations = s->iterations;
    if (p->events) {
        event(s, elapsed, rate);
    } else if (p->live) {
        live_line(p, s, results, elapsed, rate);
    } else if (!p->quiet) {
        plain_lines(p, s, elapsed, false);
    }
}

void progress_end(struct progress *p, const struct engine_status *s)
{
    erase(p);
    p->line[0] = 0;
    if (!p->quiet && !p->events) {
        plain_lines(p, s, engine_duration(p->engine), true);
    }
}
