// SPDX-License-Identifier: Apache-2.0
#include "metric/sink.h"

#include "base/mem.h"
#include "metric/wire.h"

void sink_init(struct sink *s, enum metric_type type)
{
    *s = (struct sink){.type = type};
}

void sink_fini(struct sink *s)
{
    trend_fini(&s->trend);
}

void sink_reset(struct sink *s)
{
    trend_reset(&s->trend);
    s->count = s->trues = 0;
    s->sum = s->min = s->max = s->last = 0;
    s->last_when = 0;
}

void sink_add(struct sink *s, double value, nsec_t when)
{
    switch (s->type) {
    case METRIC_TREND:
        trend_add(&s->trend, value);
        break;
    case METRIC_RATE:
        s->trues += value != 0;
        break;
    case METRIC_GAUGE:
        s->min = s->count == 0 || value < s->min ? value : s->min;
        s->max = s->count == 0 || value > s->max ? value : s->max;
        s->last = value;
        s->last_when = when;
        break;
    case METRIC_COUNTER:
        s->sum += value;
        break;
    }
    s->count++;
}

void sink_merge(struct sink *s, const struct sink *other)
{
    if (other->count == 0) {
        return;
    }
    if (s->type == METRIC_TREND) {
        trend_merge(&s->trend, &other->trend);
    }
    s->min = s->count == 0 || other->min < s->min ? other->min : s->min;
    s->max = s->count == 0 || other->max > s->max ? other->max : s->max;
    if (s->count == 0 || other->last_when >= s->last_when) {
        s->last = other->last;
        s->last_when = other->last_when;
    }
    s->count += other->count;
    s->trues += other->trues;
    s->sum += other->sum;
}

void sink_write(const struct sink *s, struct strbuf *b)
{
    wire_varint(b, s->count);
    switch (s->type) {
    case METRIC_TREND:
        trend_write(&s->trend, b);
        break;
    case METRIC_RATE:
        wire_varint(b, s->trues);
        break;
    case METRIC_GAUGE:
        wire_double(b, s->min);
        wire_double(b, s->max);
        wire_double(b, s->last);
        wire_u64(b, (uint64_t)s->last_when);
        break;
    case METRIC_COUNTER:
        wire_double(b, s->sum);
        break;
    }
}

bool sink_read(struct sink *s, struct wire_reader *r)
{
    s->count = wire_get_varint(r);
    switch (s->type) {
    case METRIC_TREND:
        return trend_read(&s->trend, r) && s->trend.count == s->count;
    case METRIC_RATE:
        s->trues = wire_get_varint(r);
        return !r->bad && s->trues <= s->count;
    case METRIC_GAUGE:
        s->min = wire_get_double(r);
        s->max = wire_get_double(r);
        s->last = wire_get_double(r);
        s->last_when = (nsec_t)wire_get_u64(r);
        return !r->bad;
    case METRIC_COUNTER:
        s->sum = wire_get_double(r);
        return !r->bad;
    }
    return false;
}
