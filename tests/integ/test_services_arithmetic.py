# SPDX-License-Identifier: Apache-2.0
"""The limits of the reference system are arithmetic: each knob moves its own limit and no other."""
import pytest

from testenv import Background, System

POOL, WORKERS = 4, 2
# What a transaction costs beside the payment, and an e-mail beside its latency, on a slow machine.
TOLERANCE = 0.15


def measure(pool=POOL, workers=WORKERS, payment=20, email=20):
    """Orders/s and e-mails/s, both saturated at the same time."""
    with System(order={"DB_POOL_SIZE": str(pool)}, worker={"WORKER_CONCURRENCY": str(workers)},
                provider={"PAYMENT_LATENCY": f"{payment}ms", "EMAIL_LATENCY": f"{email}ms"}) as system:
        orders = Background(system.saturate, 3, pool + 4)
        emails = Background(system.email_rate, 2.5)
        return orders.result().rate, emails.result()


@pytest.mark.slow
@pytest.mark.parametrize("knobs", [{}, {"pool": 2 * POOL}, {"payment": 40}, {"workers": 2 * WORKERS},
                                   {"email": 40}], ids=str)
def test_limits_are_arithmetic(knobs):
    orders, emails = measure(**knobs)
    expected_orders = knobs.get("pool", POOL) / knobs.get("payment", 20) * 1000
    expected_emails = knobs.get("workers", WORKERS) / knobs.get("email", 20) * 1000
    print(f"{knobs}: orders {orders:.0f}/s of {expected_orders:.0f}, "
          f"e-mails {emails:.0f}/s of {expected_emails:.0f}")
    # Never above: that would mean that the bound is not one. The margin is the clock of the test.
    assert (1 - TOLERANCE) * expected_orders < orders < 1.02 * expected_orders
    assert (1 - TOLERANCE) * expected_emails < emails < 1.02 * expected_emails
