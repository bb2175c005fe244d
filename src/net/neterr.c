// SPDX-License-Identifier: Apache-2.0
#include "net/neterr.h"

#include <errno.h>
#include <stdio.h>

#include "net/net_int.h"

int exchange_vfail(struct exchange *x, int code, const char *format, va_list args)
{
    if (!x->error_code) {
        x->error_code = code;
        vsnprintf(x->error, sizeof(x->error), format, args);
    }
    return x->error_code;
}

int exchange_fail(struct exchange *x, int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int r = exchange_vfail(x, code, format, args);
    va_end(args);
    return r;
}

int exchange_fail_errno(struct exchange *x, const char *operation, int error)
{
    bool dial = operation[0] == 'd';

    error = error < 0 ? -error : error;
    switch (error) {
    case ECONNRESET:
        return exchange_fail(x, NETERR_RESET, "%s: connection reset by peer", operation);
    case EPIPE:
        return exchange_fail(x, NETERR_BROKEN_PIPE, "%s: broken pipe", operation);
    case ECONNREFUSED:
        return exchange_fail(x, dial ? NETERR_DIAL_REFUSED : NETERR_TCP_ERRNO,
                             "%s: connection refused", operation);
    case ETIMEDOUT:
        return exchange_fail(x, dial ? NETERR_DIAL_TIMEOUT : NETERR_TCP_ERRNO, "%s: %s", operation,
                             dial ? "i/o timeout" : "connection timed out");
    default:
        return exchange_fail(x, dial ? NETERR_DIAL_ERRNO : NETERR_TCP_ERRNO, "%s: %s", operation,
                             err_errno(-error));
    }
}
