// SPDX-License-Identifier: Apache-2.0
// clang-format off
// Subcommands: COMMAND(id, name, arguments, summary). One src/cmd/ID.c each, with cmd_ID().
COMMAND(run, "run", "SCRIPT", "run a k6 load test")
COMMAND(limit, "limit", "SCRIPT|URL", "the highest rate sustained under the script's thresholds")
COMMAND(plan, "plan", "PLAN.yaml", "the capacity plan: limits, what binds them, what lifts them")
COMMAND(report, "report", "DIR", "render a run directory again")
COMMAND(lab, "lab", "up|ps|logs|down", "local pods from Kubernetes manifests")
COMMAND(doctor, "doctor", "", "what will work on this machine, and why not")
