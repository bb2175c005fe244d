// SPDX-License-Identifier: Apache-2.0
#include "stream.h"

#include "clock.h"
#include "log.h"

#include <stdio.h>

#define WAIT_MS 2000

// With a callback, connecting does not block; who uses the connection asks for its state.
static void on_connected(natsConnection *connection, void *closure)
{
    log_write(LOG_INFO, "connected to NATS", NULL);
}

natsConnection *stream_connect(const char *url,
                               const char *name,
                               natsConnectionHandler on_reconnected,
                               char *message,
                               size_t size)
{
    natsOptions *options = NULL;
    natsConnection *connection = NULL;
    natsStatus s = natsOptions_Create(&options);

    s = s == NATS_OK ? natsOptions_SetURL(options, url) : s;
    s = s == NATS_OK ? natsOptions_SetName(options, name) : s;
    s = s == NATS_OK ? natsOptions_SetTimeout(options, WAIT_MS) : s;
    s = s == NATS_OK ? natsOptions_SetMaxReconnect(options, -1) : s;
    s = s == NATS_OK ? natsOptions_SetReconnectWait(options, 200) : s;
    s = s == NATS_OK ? natsOptions_SetReconnectJitter(options, 100, 100) : s;
    s = s == NATS_OK ? natsOptions_SetPingInterval(options, 5000) : s;
    s = s == NATS_OK ? natsOptions_SetMaxPingsOut(options, 2) : s;
    s = s == NATS_OK ? natsOptions_SetRetryOnFailedConnect(options, true, on_connected, NULL) : s;
    s = s == NATS_OK ? natsOptions_SetReconnectedCB(options, on_reconnected, NULL) : s;
    s = s == NATS_OK ? natsConnection_Connect(&connection, options) : s;
    natsOptions_Destroy(options);
    if (s != NATS_OK && s != NATS_NOT_YET_CONNECTED) {
        snprintf(message, size, "NATS_URL: '%.128s': %s", url, natsStatus_GetText(s));
        return NULL;
    }
    return connection;
}

natsStatus stream_ensure(jsCtx *js)
{
    const char *subjects[] = {STREAM_SUBJECTS};
    jsStreamConfig config;
    jsStreamInfo *info = NULL;
    jsOptions options;
    jsErrCode code = 0;

    jsOptions_Init(&options);
    options.Wait = WAIT_MS;
    natsStatus s = js_GetStreamInfo(&info, js, STREAM_NAME, &options, &code);
    jsStreamInfo_Destroy(info);
    if (s != NATS_NOT_FOUND) {
        return s;
    }
    jsStreamConfig_Init(&config);
    config.Name = STREAM_NAME;
    config.Subjects = subjects;
    config.SubjectsLen = 1;
    config.Storage = js_FileStorage;
    config.MaxAge = 24 * 3600 * SEC;
    config.MaxBytes = INT64_C(1) << 30;
    config.Duplicates = 120 * SEC;
    s = js_AddStream(NULL, js, &config, &options, &code);
    return code == JSStreamNameExistErr ? NATS_OK : s;
}
