// SPDX-License-Identifier: Apache-2.0
#include "js/vu.h"
const JSClassDef js_response_class = {"Response"}, js_jar_class = {"CookieJar"}, js_callback_class = {"Callback"};
JSValue js_mod_http(JSContext *ctx) { return JS_NewObject(ctx); }
void js_http_vu_free(struct script_vu *vu) {}
void js_http_iteration_start(struct script_vu *vu) {}
void js_http_iteration_end(struct script_vu *vu) {}
void js_http_thread_free(struct script_thread *t) {}
