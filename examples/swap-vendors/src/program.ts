// program.ts: a loop of one's own that can be stopped. It knows a source, and no vendor.

import { type Decision, defineKillSwitches, type Gate, type KillSwitches, openGate, type SwitchSource } from 'offswitch';

// #region program
export const switches: KillSwitches<'batch-scoring'> = defineKillSwitches({
  global: { authorized: ['on-call'] },
  features: { 'batch-scoring': { authorized: ['on-call'] } },
  user: { authorized: ['support'] },
  instance: { authorized: ['on-call'] },
});

export async function start(source: SwitchSource): Promise<Program> {
  const gate = await openGate({ switches, source }); // all that the program ever hears of a vendor
  let turns = 0;
  return {
    gate,
    turns: () => turns,
    /** Takes turns until it is stopped, and says by what. */
    async work(userId, sessionId) {
      for (;;) {
        const decision = await gate.decide({ workflow: 'batch-scoring', userId, sessionId });
        if (decision.action !== 'run') return decision;
        turns += 1;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
  };
}
// #endregion

export interface Program {
  readonly gate: Gate<'batch-scoring'>;
  turns(): number;
  work(userId: string, sessionId: string): Promise<Decision>;
}
