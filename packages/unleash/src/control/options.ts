// options.ts: what flips are made with: whose token, where, and how patiently.

export interface UnleashControlOptions {
  /** Address of Unleash, with or without `/api`. */
  readonly url: string;
  /** The operator's own personal access token, so that Unleash's history names them; or an admin token, which names nobody. Never in an agent's process. */
  readonly token: string;
  /** Default `default`, the only project of the open-source edition. */
  readonly project?: string;
  /** The environment whose switches these are, as Unleash names it: `production`. */
  readonly environment: string;
  /** End of one request. Milliseconds. Default 5000. */
  readonly timeoutMs?: number;
  /** Longest wait for a limit that Unleash, or what stands before it, says is over by then. Milliseconds. Default 10000. */
  readonly rateLimitWaitMs?: number;
  /**
   * Strategies that one environment of a flag may hold, which is how many people or sessions can be stopped at once. Default 30, as
   * Unleash is delivered; say what UNLEASH_FEATURE_ENVIRONMENT_STRATEGIES_LIMIT says. Used for warnings; Unleash itself refuses.
   */
  readonly strategyLimit?: number;
  /** True for a session that has ended: `inspect` then lists its target as stale. Default: nobody knows. */
  readonly isEnded?: (sessionId: string) => boolean;
  /** Wall clock for the time of a flip. Default `Date.now`. */
  readonly now?: () => number;
  /** Default: the platform's. */
  readonly fetch?: typeof globalThis.fetch;
}
