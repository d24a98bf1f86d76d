// evaluator.ts: the vendor's own evaluation, unmodified, over data that we let through.
//
// `unleash-client` takes a repository of its user's making. Ours holds the last data that was good and not older than what
// was seen; its own would take whatever came last. The client that answers for switches counts nothing and reports nothing,
// so canaries leave no trace at the vendor (S11).

import { EventEmitter } from 'node:events';
import { type Context, Unleash, type UnleashConfig } from 'unleash-client';
import type { FlagData } from './flag-data.ts';

type Repository = NonNullable<UnleashConfig['repository']>;
type Feature = ReturnType<Repository['getToggles']>[number];
type EnhancedFeature = ReturnType<Repository['getTogglesWithSegmentData']>[number];
type Segment = NonNullable<ReturnType<Repository['getSegment']>>;

/** What the client evaluates. */
export class HeldFlags extends EventEmitter implements Repository {
  private data: FlagData | undefined;

  /** Synchronous: the next evaluation sees it. */
  hold(data: FlagData): void {
    const isFirst = this.data === undefined;
    this.data = data;
    if (isFirst) this.emit('ready');
  }
  getToggle(name: string): Feature | undefined {
    return this.data?.flags.get(name) as Feature | undefined;
  }
  getToggles(): Feature[] {
    return [...(this.data?.flags.values() ?? [])] as Feature[];
  }
  getTogglesWithSegmentData(): EnhancedFeature[] {
    return this.getToggles().map(({ strategies, ...rest }) => ({
      ...rest,
      strategies: (strategies ?? []).map(({ segments, ...one }) => ({
        ...one,
        segments: (segments ?? []).map((id) => this.getSegment(id)),
      })),
    })) as EnhancedFeature[];
  }
  getSegment(id: number): Segment | undefined {
    return this.data?.segments.get(id) as Segment | undefined;
  }
  async start(): Promise<void> {}
  stop(): void {}
}

/** Asks about switches, as the application of this name: no metrics, no registration, no impressions, no timer. */
export function switchEvaluator(
  held: HeldFlags,
  strategies: UnleashConfig['strategies'],
  appName: string,
): (key: string, context: Context) => boolean {
  const client = new Unleash({
    appName,
    url: 'http://localhost/never-asked',
    repository: held,
    ...(strategies === undefined ? {} : { strategies }),
    disableAutoStart: true,
    disableMetrics: true,
    skipInstanceCountWarning: true,
  });
  // It warns of more than ten clients; this one has no connection, is never destroyed, and is none of the application's.
  const counted = Unleash as unknown as { instanceCount?: number };
  if (counted.instanceCount !== undefined) counted.instanceCount--;
  // A flag it cannot evaluate is an error event there; here the flag was looked at before.
  client.on('error', () => {});
  return (key, context) => client.isEnabled(key, context, false);
}
