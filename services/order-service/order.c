// SPDX-License-Identifier: Apache-2.0
#include "order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// ISO 4217 list one, alphabetic codes in use, sorted; the codes of metals, funds, bond units and
// tests (X…, CHE, CHW, CLF, COU, MXV, USN, UYI, UYW) are no means of payment and left out.
static const char currencies[][4] = {
    "AED", "AFN", "ALL", "AMD", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BHD",
    "BIF", "BMD", "BND", "BOB", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF",
    "CLP", "CNY", "COP", "CRC", "CUP", "CVE", "CZK", "DJF", "DKK", "DOP", "DZD", "EGP", "ERN",
    "ETB", "EUR", "FJD", "FKP", "GBP", "GEL", "GHS", "GIP", "GMD", "GNF", "GTQ", "GYD", "HKD",
    "HNL", "HTG", "HUF", "IDR", "ILS", "INR", "IQD", "IRR", "ISK", "JMD", "JOD", "JPY", "KES",
    "KGS", "KHR", "KMF", "KPW", "KRW", "KWD", "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL",
    "LYD", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRU", "MUR", "MVR", "MWK", "MXN",
    "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD", "OMR", "PAB", "PEN", "PGK", "PHP",
    "PKR", "PLN", "PYG", "QAR", "RON", "RSD", "RUB", "RWF", "SAR", "SBD", "SCR", "SDG", "SEK",
    "SGD", "SHP", "SLE", "SOS", "SRD", "SSP", "STN", "SVC", "SYP", "SZL", "THB", "TJS", "TMT",
    "TND", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "UGX", "USD", "UYU", "UZS", "VED", "VES",
    "VND", "VUV", "WST", "XAF", "XCD", "XOF", "XPF", "YER", "ZAR", "ZMW", "ZWG"};

static int compare(const void *key, const void *entry)
{
    return strcmp(key, entry);
}

bool order_currency_is_known(const char *code)
{
    return bsearch(code, currencies, sizeof(currencies) / sizeof(currencies[0]),
                   sizeof(currencies[0]), compare) != NULL;
}

int order_input_check(const json_t *body,
                      struct order_input *ret_input,
                      const char **ret_field,
                      const char **ret_message)
{
    const json_t *amount = json_object_get(body, "amount");
    const json_t *currency = json_object_get(body, "currency");

    if (!json_is_integer(amount) || json_integer_value(amount) < 1 ||
        json_integer_value(amount) > ORDER_AMOUNT_MAX) {
        *ret_field = "amount";
        *ret_message =
            amount ? "amount must be an integer above 0, in minor units" : "amount is missing";
        return -EINVAL;
    }
    if (!json_is_string(currency) || json_string_length(currency) != 3 ||
        !order_currency_is_known(json_string_value(currency))) {
        *ret_field = "currency";
        *ret_message = currency ? "currency must be a code of ISO 4217 in capitals, such as EUR"
                                : "currency is missing";
        return -EINVAL;
    }
    ret_input->amount = json_integer_value(amount);
    memcpy(ret_input->currency, json_string_value(currency), 4);
    return 0;
}

bool order_key_is_valid(const char *key)
{
    size_t len = 0;

    for (; key[len]; len++) {
        if (key[len] < '!' || key[len] > '~') {
            return false;
        }
    }
    return len > 0 && len <= ORDER_KEY_MAX;
}

void order_write(struct buf *out,
                 const char *id,
                 const char *amount,
                 const char *currency,
                 const char *status,
                 const char *created_at)
{
    buf_format(out,
               "{\"id\":\"%s\",\"amount\":%s,\"currency\":\"%s\",\"status\":\"%s\","
               "\"created_at\":\"%s\"}\n",
               id, amount, currency, status, created_at);
}
