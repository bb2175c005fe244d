// SPDX-License-Identifier: Apache-2.0
// Asks the gateway for tokens. Runs on Plimsoll and on k6.
import http from 'k6/http';
import { check } from 'k6';

const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8080';
const credentials = JSON.stringify({
  client_id: __ENV.CLIENT_ID,
  client_secret: __ENV.CLIENT_SECRET,
});
const params = { headers: { 'Content-Type': 'application/json' } };

export const options = {
  stages: [
    { duration: '30s', target: 20 },
    { duration: '1m', target: 20 },
  ],
  thresholds: {
    http_req_failed: ['rate<0.01'],
    http_req_duration: ['p(99)<300'],
    checks: ['rate>0.99'],
  },
};

export default function () {
  const r = http.post(`${BASE_URL}/auth/token`, credentials, params);

  check(r, { 'status is 200': (r) => r.status === 200 });
}
