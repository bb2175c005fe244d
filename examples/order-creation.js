// SPDX-License-Identifier: Apache-2.0
// Creates orders as a shop would. Runs on Plimsoll and on k6.
//
//   plimsoll run examples/order-creation.js -e BASE_URL=http://127.0.0.1:8080 \
//     -e CLIENT_ID=demo -e CLIENT_SECRET=…
//
// AUTH_URL names the place of /auth/token when it is not BASE_URL.
import http from 'k6/http';
import { check, sleep } from 'k6';
import { Rate, Trend } from 'k6/metrics';

const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8080';
const AUTH_URL = __ENV.AUTH_URL || BASE_URL;

const orderErrors = new Rate('order_errors');
const orderDuration = new Trend('order_duration', true);

export const options = {
  stages: [
    { duration: '2m', target: 100 },
    { duration: '5m', target: 100 },
    { duration: '1m', target: 0 },
  ],
  thresholds: {
    http_req_failed: ['rate<0.01'],
    http_req_duration: ['p(99)<500'],
    order_errors: ['rate<0.005'],
  },
};

export function setup() {
  const res = http.post(
    `${AUTH_URL}/auth/token`,
    JSON.stringify({ client_id: __ENV.CLIENT_ID, client_secret: __ENV.CLIENT_SECRET }),
    { headers: { 'Content-Type': 'application/json' } },
  );
  if (!check(res, { 'token issued': (r) => r.status === 200 })) {
    throw new Error(`no token from ${AUTH_URL}: status ${res.status}`);
  }
  return { token: res.json('access_token') };
}

export default function (data) {
  const order = { amount: Math.floor(Math.random() * 10000) + 1, currency: 'EUR' };
  const r = http.post(`${BASE_URL}/api/v1/orders`, JSON.stringify(order), {
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${data.token}` },
  });

  const ok = check(r, {
    'status is 201': (r) => r.status === 201,
    'has an id': (r) => r.json('id') !== null,
    'faster than 300 ms': (r) => r.timings.duration < 300,
  });
  orderErrors.add(!ok);
  orderDuration.add(r.timings.duration);

  sleep(0.5);
}
