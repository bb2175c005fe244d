// SPDX-License-Identifier: Apache-2.0
// Containers: command, environment, ports, probes, resources.
#include <ctype.h>
#include <errno.h>

#include "kube/read.h"

static int read_key_ref(struct kube_reader *r, const struct yaml_node *node, struct kube_env *env)
{
    KEYS(keys, "name", "key", "optional");

    TRY(CHECK_KEYS(r, node, keys));
    for (int i = 0; i < 2; i++) {
        if (!yaml_get(node, keys[i])) {
            return yaml_missing(node, keys[i], r->err);
        }
    }
    TRY(kube_read_string(r, node, "name", &env->ref));
    TRY(kube_read_string(r, node, "key", &env->key));
    return kube_read_bool(r, node, "optional", &env->optional);
}

static int read_field_ref(struct kube_reader *r, const struct yaml_node *node, struct kube_env *env)
{
    KEYS(keys, "fieldPath", "apiVersion");
    KEYS(paths, "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
         "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP",
         "status.podIPs");

    TRY(CHECK_KEYS(r, node, keys));
    const struct yaml_node *path = yaml_get(node, "fieldPath");
    if (!path) {
        return yaml_missing(node, "fieldPath", r->err);
    }
    TRY(yaml_string(path, &env->key, r->err));
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        if (strcmp(paths[i], env->key) == 0) {
            return 0;
        }
    }
    if ((str_starts(env->key, "metadata.labels['") ||
         str_starts(env->key, "metadata.annotations['")) &&
        str_ends(env->key, "']")) {
        return 0;
    }
    const char *meant = str_suggest(env->key, paths, ARRAY_SIZE(paths));
    return yaml_error(path, r->err,
                      meant ? "unknown field '%.80s', did you mean '%s'?" : "unknown field '%.80s'",
                      env->key, meant);
}

static int
read_resource_ref(struct kube_reader *r, const struct yaml_node *node, struct kube_env *env)
{
    KEYS(keys, "resource", "containerName", "divisor");
    KEYS(resources, "limits.cpu", "limits.memory", "requests.cpu", "requests.memory");

    TRY(CHECK_KEYS(r, node, keys));
    const struct yaml_node *resource = yaml_get(node, "resource");
    if (!resource) {
        return yaml_missing(node, "resource", r->err);
    }
    TRY(yaml_string(resource, &env->key, r->err));
    TRY(kube_read_string(r, node, "containerName", &env->ref));
    env->divisor = 1000000000;
    const struct yaml_node *divisor = yaml_get(node, "divisor");
    if (divisor) {
        TRY(yaml_quantity(divisor, &env->divisor, r->err));
        if (env->divisor <= 0) {
            env->divisor = 1000000000; // "0" means the default
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(resources); i++) {
        if (strcmp(resources[i], env->key) == 0) {
            return 0;
        }
    }
    return yaml_error(resource, r->err,
                      "'%.40s' is not known here: use limits.cpu, limits.memory, "
                      "requests.cpu or requests.memory",
                      env->key);
}

static int
read_value_from(struct kube_reader *r, const struct yaml_node *node, struct kube_env *env)
{
    KEYS(keys, "configMapKeyRef", "secretKeyRef", "fieldRef", "resourceFieldRef");

    TRY(CHECK_KEYS(r, node, keys));
    if (node->count != 1 || node->items[0]->type == YAML_NULL) {
        return yaml_error(node, r->err,
                          "needs exactly one of configMapKeyRef, secretKeyRef, fieldRef, "
                          "resourceFieldRef");
    }
    const struct yaml_node *ref = node->items[0];
    if (strcmp(ref->key, "configMapKeyRef") == 0) {
        env->kind = KUBE_ENV_CONFIG_MAP;
        return read_key_ref(r, ref, env);
    }
    if (strcmp(ref->key, "secretKeyRef") == 0) {
        env->kind = KUBE_ENV_SECRET;
        return read_key_ref(r, ref, env);
    }
    if (strcmp(ref->key, "fieldRef") == 0) {
        env->kind = KUBE_ENV_FIELD;
        return read_field_ref(r, ref, env);
    }
    env->kind = KUBE_ENV_RESOURCE;
    return read_resource_ref(r, ref, env);
}

static int read_env(struct kube_reader *r, const struct yaml_node *node, struct kube_env *env)
{
    KEYS(keys, "name", "value", "valueFrom");
    const struct yaml_node *value = yaml_get(node, "value");
    const struct yaml_node *from = yaml_get(node, "valueFrom");

    TRY(CHECK_KEYS(r, node, keys));
    *env = (struct kube_env){.node = node, .value = ""};
    if (!yaml_get(node, "name")) {
        return yaml_missing(node, "name", r->err);
    }
    TRY(kube_read_string(r, node, "name", &env->name));
    if (!*env->name || strchr(env->name, '=')) {
        return yaml_error(yaml_get(node, "name"), r->err, "'%.80s' is no name of a variable",
                          env->name);
    }
    if (value && from && *value->text) {
        return yaml_error(from, r->err, "must not stand beside a value");
    }
    if (from) {
        return read_value_from(r, from, env);
    }
    return value ? yaml_string(value, &env->value, r->err) : 0;
}

static int
read_env_from(struct kube_reader *r, const struct yaml_node *node, struct kube_env_from *from)
{
    KEYS(keys, "prefix", "configMapRef", "secretRef");
    KEYS(ref_keys, "name", "optional");
    const struct yaml_node *map = yaml_get(node, "configMapRef");
    const struct yaml_node *secret = yaml_get(node, "secretRef");

    TRY(CHECK_KEYS(r, node, keys));
    if (!map == !secret) {
        return yaml_error(node, r->err, "needs exactly one of configMapRef and secretRef");
    }
    const struct yaml_node *ref = map ? map : secret;
    *from = (struct kube_env_from){
        .kind = map ? KUBE_ENV_CONFIG_MAP : KUBE_ENV_SECRET, .prefix = "", .node = ref};
    TRY(CHECK_KEYS(r, ref, ref_keys));
    if (!yaml_get(ref, "name")) {
        return yaml_missing(ref, "name", r->err);
    }
    TRY(kube_read_string(r, ref, "name", &from->ref));
    TRY(kube_read_bool(r, ref, "optional", &from->optional));
    return kube_read_string(r, node, "prefix", &from->prefix);
}

static int read_port(struct kube_reader *r, const struct yaml_node *node, struct kube_port *port)
{
    KEYS(keys, "name", "containerPort", "protocol", "hostPort", "hostIP");
    const char *protocol = "TCP";
    int64_t number;

    *port = (struct kube_port){.node = node};
    TRY(CHECK_KEYS(r, node, keys));
    const struct yaml_node *at = yaml_get(node, "containerPort");
    if (!at) {
        return yaml_missing(node, "containerPort", r->err);
    }
    TRY(yaml_int(at, 1, 65535, &number, r->err));
    port->number = (int)number;
    TRY(kube_read_string(r, node, "name", &port->name));
    if (port->name && !kube_is_dns_name(port->name, 15, false)) {
        return yaml_error(
            yaml_get(node, "name"), r->err,
            "'%.40s' is no name of a port: at most 15 lower case letters, digits, '-'", port->name);
    }
    TRY(kube_read_string(r, node, "protocol", &protocol));
    if (strcmp(protocol, "TCP") != 0 && strcmp(protocol, "UDP") != 0 &&
        strcmp(protocol, "SCTP") != 0) {
        return yaml_error(yaml_get(node, "protocol"), r->err,
                          "expected TCP, UDP or SCTP, found '%.40s'", protocol);
    }
    port->tcp = strcmp(protocol, "TCP") == 0;
    return 0;
}

static int resolve_port(struct kube_reader *r,
                        const struct yaml_node *node,
                        const struct kube_container *c,
                        int *ret_port)
{
    const char *names[16];
    size_t count = 0;
    const char *name;

    TRY(kube_read_port(r, node, ret_port, &name));
    if (!name) {
        return 0;
    }
    for (size_t i = 0; i < c->port_count; i++) {
        if (!c->ports[i].name) {
            continue;
        }
        if (strcmp(c->ports[i].name, name) == 0) {
            *ret_port = c->ports[i].number;
            return 0;
        }
        if (count < ARRAY_SIZE(names)) {
            names[count++] = c->ports[i].name;
        }
    }
    const char *meant = str_suggest(name, names, count);
    return yaml_error(node, r->err,
                      meant ? "this container has no port '%s', did you mean '%s'?"
                            : "this container has no port '%s'",
                      name, meant);
}

static int read_http_get(struct kube_reader *r,
                         const struct yaml_node *node,
                         const struct kube_container *c,
                         struct kube_probe *p)
{
    KEYS(keys, "path", "port", "host", "scheme", "httpHeaders");
    KEYS(header_keys, "name", "value");
    const char *scheme = "HTTP";
    const struct yaml_node *headers;

    p->kind = KUBE_PROBE_HTTP;
    p->path = "/";
    TRY(CHECK_KEYS(r, node, keys));
    if (!yaml_get(node, "port")) {
        return yaml_missing(node, "port", r->err);
    }
    TRY(resolve_port(r, yaml_get(node, "port"), c, &p->port));
    TRY(kube_read_string(r, node, "host", &p->host));
    TRY(kube_read_string(r, node, "path", &p->path));
    if (strpbrk(p->path, "\r\n ")) {
        return yaml_error(yaml_get(node, "path"), r->err, "must not contain blanks or line ends");
    }
    if (p->path[0] != '/') {
        p->path = arena_printf(r->arena, "/%s", p->path);
    }
    TRY(kube_read_string(r, node, "scheme", &scheme));
    if (strcmp(scheme, "HTTP") != 0 && strcmp(scheme, "HTTPS") != 0) {
        return yaml_error(yaml_get(node, "scheme"), r->err, "expected HTTP or HTTPS, found '%.40s'",
                          scheme);
    }
    p->tls = strcmp(scheme, "HTTPS") == 0;
    TRY(kube_read_list(r, node, "httpHeaders", &headers));
    if (!headers) {
        return 0;
    }
    p->headers = (struct kube_pairs){
        arena_alloc(r->arena, (headers->count + 1) * sizeof(struct kube_pair)), headers->count};
    YAML_FOREACH(it, headers)
    {
        struct kube_pair *h = &p->headers.items[it->index];
        TRY(CHECK_KEYS(r, it, header_keys));
        if (!yaml_get(it, "name") || !yaml_get(it, "value")) {
            return yaml_missing(it, yaml_get(it, "name") ? "value" : "name", r->err);
        }
        TRY(kube_read_string(r, it, "name", &h->key));
        TRY(kube_read_string(r, it, "value", &h->value));
        if (strpbrk(h->key, "\r\n: ") || strpbrk(h->value, "\r\n")) {
            return yaml_error(it, r->err, "is no valid HTTP header");
        }
    }
    return 0;
}

static int read_handler(struct kube_reader *r,
                        const struct yaml_node *node,
                        const struct kube_container *c,
                        struct kube_probe *p)
{
    KEYS(exec_keys, "command");
    KEYS(tcp_keys, "port", "host");
    KEYS(grpc_keys, "port", "service");
    const struct yaml_node *exec = yaml_get(node, "exec");
    const struct yaml_node *http = yaml_get(node, "httpGet");
    const struct yaml_node *tcp = yaml_get(node, "tcpSocket");
    const struct yaml_node *grpc = yaml_get(node, "grpc");

    if (!!exec + !!http + !!tcp + !!grpc != 1) {
        return yaml_error(node, r->err, "needs exactly one of httpGet, tcpSocket, exec, grpc");
    }
    if (http) {
        return read_http_get(r, http, c, p);
    }
    if (exec) {
        p->kind = KUBE_PROBE_EXEC;
        TRY(CHECK_KEYS(r, exec, exec_keys));
        TRY(kube_read_strings(r, yaml_get(exec, "command"), &p->command));
        return p->command.count ? 0 : yaml_missing(exec, "command", r->err);
    }
    const struct yaml_node *at = tcp ? tcp : grpc;
    p->kind = KUBE_PROBE_TCP;
    TRY(tcp ? CHECK_KEYS(r, tcp, tcp_keys) : CHECK_KEYS(r, grpc, grpc_keys));
    if (!yaml_get(at, "port")) {
        return yaml_missing(at, "port", r->err);
    }
    TRY(kube_read_string(r, at, "host", &p->host));
    return resolve_port(r, yaml_get(at, "port"), c, &p->port);
}

static int read_probe(struct kube_reader *r,
                      const struct yaml_node *container,
                      const char *name,
                      bool must_succeed_once,
                      const struct kube_container *c,
                      struct kube_probe *ret_probe)
{
    KEYS(keys, "exec", "httpGet", "tcpSocket", "grpc", "initialDelaySeconds", "timeoutSeconds",
         "periodSeconds", "successThreshold", "failureThreshold", "terminationGracePeriodSeconds");
    const struct yaml_node *node = yaml_get(container, name);
    struct kube_probe p = {.period = 10 * NSEC_PER_SEC, .timeout = NSEC_PER_SEC, .node = node};
    int64_t successes = 1;
    int64_t failures = 3;

    if (!node) {
        return 0;
    }
    TRY(CHECK_KEYS(r, node, keys));
    TRY(read_handler(r, node, c, &p));
    TRY(kube_read_seconds(r, node, "initialDelaySeconds", 0, &p.delay));
    TRY(kube_read_seconds(r, node, "periodSeconds", 1, &p.period));
    TRY(kube_read_seconds(r, node, "timeoutSeconds", 1, &p.timeout));
    TRY(kube_read_int(r, node, "successThreshold", 1, 1000, &successes));
    TRY(kube_read_int(r, node, "failureThreshold", 1, 100000, &failures));
    if (must_succeed_once && successes != 1) {
        return yaml_error(yaml_get(node, "successThreshold"), r->err, "must be 1 for a %s", name);
    }
    p.successes = (int)successes;
    p.failures = (int)failures;
    *ret_probe = p;
    return 0;
}

static int read_quantities(struct kube_reader *r,
                           const struct yaml_node *node,
                           quantity_t *cpu,
                           quantity_t *memory)
{
    if (!node) {
        return 0;
    }
    TRY(yaml_expect(node, YAML_MAP, r->err));
    YAML_FOREACH(it, node)
    {
        quantity_t value;
        TRY(yaml_quantity(it, &value, r->err));
        if (value < 0) {
            return yaml_error(it, r->err, "must not be negative");
        }
        if (strcmp(it->key, "cpu") == 0) {
            *cpu = value;
        } else if (strcmp(it->key, "memory") == 0) {
            *memory = value;
        } else if (strcmp(it->key, "ephemeral-storage") != 0 && !strchr(it->key, '/') &&
                   !str_starts(it->key, "hugepages-")) {
            yaml_error(it, r->err,
                       "unknown resource: cpu, memory, ephemeral-storage, "
                       "hugepages-SIZE or a name with a domain");
            err_at(r->err, it->file, it->key_line, it->key_column);
            return -EINVAL;
        }
    }
    return 0;
}

static int
read_resources(struct kube_reader *r, const struct yaml_node *node, struct kube_container *c)
{
    KEYS(keys, "limits", "requests", "claims");

    if (!node) {
        return 0;
    }
    TRY(CHECK_KEYS(r, node, keys));
    TRY(read_quantities(r, yaml_get(node, "limits"), &c->cpu_limit, &c->memory_limit));
    TRY(read_quantities(r, yaml_get(node, "requests"), &c->cpu_request, &c->memory_request));
    // The API server takes the limit for a request that is not given.
    c->cpu_request = c->cpu_request ? c->cpu_request : c->cpu_limit;
    c->memory_request = c->memory_request ? c->memory_request : c->memory_limit;
    if (c->cpu_limit && c->cpu_request > c->cpu_limit) {
        return yaml_error(yaml_get(node, "requests"), r->err, "cpu is above the limit");
    }
    if (c->memory_limit && c->memory_request > c->memory_limit) {
        return yaml_error(yaml_get(node, "requests"), r->err, "memory is above the limit");
    }
    return 0;
}

static int read_lists(struct kube_reader *r, const struct yaml_node *node, struct kube_container *c)
{
    const struct yaml_node *list;

    TRY(kube_read_list(r, node, "ports", &list));
    if (list) {
        c->ports = arena_alloc(r->arena, (list->count + 1) * sizeof(*c->ports));
        c->port_count = list->count;
        YAML_FOREACH(it, list)
        {
            TRY(read_port(r, it, &c->ports[it->index]));
        }
    }
    TRY(kube_read_list(r, node, "env", &list));
    if (list) {
        c->env = arena_alloc(r->arena, (list->count + 1) * sizeof(*c->env));
        c->env_count = list->count;
        YAML_FOREACH(it, list)
        {
            TRY(read_env(r, it, &c->env[it->index]));
        }
    }
    TRY(kube_read_list(r, node, "envFrom", &list));
    if (list) {
        c->env_from = arena_alloc(r->arena, (list->count + 1) * sizeof(*c->env_from));
        c->env_from_count = list->count;
        YAML_FOREACH(it, list)
        {
            TRY(read_env_from(r, it, &c->env_from[it->index]));
        }
    }
    return 0;
}

int kube_read_container(struct kube_reader *r,
                        const struct yaml_node *node,
                        struct kube_container *ret_container)
{
    KEYS(keys, "name", "image", "command", "args", "workingDir", "ports", "envFrom", "env",
         "resources", "resizePolicy", "restartPolicy", "restartPolicyRules", "volumeMounts",
         "volumeDevices", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle",
         "terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy", "securityContext",
         "stdin", "stdinOnce", "tty");
    KEYS(security_keys, "capabilities", "privileged", "seLinuxOptions", "windowsOptions",
         "runAsUser", "runAsGroup", "runAsNonRoot", "readOnlyRootFilesystem",
         "allowPrivilegeEscalation", "procMount", "seccompProfile", "appArmorProfile");
    struct kube_container c = {.run_as_user = -1, .node = node};
    const struct yaml_node *security = yaml_get(node, "securityContext");

    TRY(CHECK_KEYS(r, node, keys));
    if (!yaml_get(node, "name")) {
        return yaml_missing(node, "name", r->err);
    }
    TRY(kube_read_string(r, node, "name", &c.name));
    if (!kube_is_dns_name(c.name, 63, false)) {
        return yaml_error(yaml_get(node, "name"), r->err,
                          "'%.80s' is no name of a container: lower case letters, digits and '-'",
                          c.name);
    }
    TRY(kube_read_string(r, node, "image", &c.image));
    TRY(kube_read_strings(r, yaml_get(node, "command"), &c.command));
    TRY(kube_read_strings(r, yaml_get(node, "args"), &c.args));
    TRY(read_lists(r, node, &c));
    TRY(read_probe(r, node, "startupProbe", true, &c, &c.startup));
    TRY(read_probe(r, node, "readinessProbe", false, &c, &c.readiness));
    TRY(read_probe(r, node, "livenessProbe", true, &c, &c.liveness));
    TRY(read_resources(r, yaml_get(node, "resources"), &c));
    if (security) {
        TRY(CHECK_KEYS(r, security, security_keys));
        TRY(kube_read_int(r, security, "runAsUser", 0, INT32_MAX, &c.run_as_user));
    }
    *ret_container = c;
    return 0;
}
