// tier.ts: the four reaches of a stop and what each does, fixed here and nowhere else (S1, S12).
//
// A switch's meaning does not depend on who flips it, in which dashboard, or in which process it is read. So the
// action belongs to the tier, not to the flag: no rule in a dashboard can make a pause out of a terminate.

/** From widest reach to narrowest. */
export const tiers = ['global', 'feature', 'user', 'instance'] as const;
export type Tier = (typeof tiers)[number];

/** What a stop does to a session it covers. Ordered: a terminate is stronger than a pause, a pause than `run` (S1). */
export type Action = 'run' | 'pause' | 'terminate';
export type StopAction = Exclude<Action, 'run'>;

const strength: Record<Action, number> = { run: 0, pause: 1, terminate: 2 };

/** Positive when `a` is the stronger action. A comparator, so that the strongest wins whatever the order of arrival. */
export function compareActions(a: Action, b: Action): number {
  return strength[a] - strength[b];
}

/** What an engaged switch of this tier does. Instance is the only tier that is for good (S6). */
export function actionOf(tier: Tier): StopAction {
  return tier === 'instance' ? 'terminate' : 'pause';
}

/**
 * The effect statement of a tier in plain words: what a person reads, and confirms, before flipping (S12).
 * `name` is the workflow for the feature tier and is ignored by the others.
 */
export function effectOf(tier: Tier, name?: string): string {
  switch (tier) {
    case 'global':
      return 'Every agent pauses before its next turn, with every sub-agent it started, and no new one starts. A turn in progress may finish. Paused work resumes when this is released.';
    case 'feature':
      return `Every agent of the workflow ${JSON.stringify(name ?? '?')} pauses before its next turn, with every sub-agent it started. A turn in progress may finish. Paused work resumes when this is released.`;
    case 'user':
      return 'Every agent that works for this user pauses before its next turn, with every sub-agent it started. A turn in progress may finish. Paused work resumes when this is released.';
    case 'instance':
      return 'This session ends for good before its next call, with every sub-agent it started. Calls in flight are aborted. Work up to the last completed turn is kept; going on is a new run.';
  }
}

/** What the person the agent works for may be told: no blame, no internals, and what happens to their work (S12). */
export function noticeOf(action: StopAction): string {
  switch (action) {
    case 'pause':
      return 'This assistant has been paused by its operators. Your work is saved and continues when the pause is lifted.';
    case 'terminate':
      return 'This assistant was stopped by its operators. Your work up to the last completed step is saved.';
  }
}
