// until.ts: waits for what another process does, and fails where it does not.

import assert from 'node:assert/strict';

export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, `${what} within twenty seconds`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
