// peer-agt.ts: a tool call governed by Microsoft's agent-governance-toolkit: ten policy rules, trust, audit, then the tool.

import { AgentMeshClient } from '@microsoft/agent-governance-sdk';
import { type Case, check } from '../case.ts';
import { median, spread, timeEach } from '../measure.ts';

export const peerAgt: Case = {
  figures: ['peer.agt.p50.us'],
  async run() {
    const rules = Array.from({ length: 9 }, (_, i) => ({ action: `forbidden-${i}`, effect: 'deny' as const }));
    const client = AgentMeshClient.create('bench', {
      capabilities: ['send-email'],
      policyRules: [...rules, { action: 'send-email', effect: 'allow' as const }],
    });
    const args = { to: 'person@example.org', text: 'x'.repeat(159) };
    const tool = async (given: { text: string }): Promise<number> => given.text.length;
    let allowed = 0;
    const governed = async (): Promise<number> => {
      const { decision } = await client.executeWithGovernance('send-email', args);
      if (decision === 'allow') allowed++;
      return tool(args);
    };
    const rounds: number[] = [];
    for (let round = -2; round < 5; round++) {
      const bare = await timeEach(2_000, () => tool(args));
      const samples = await timeEach(2_000, governed);
      if (round >= 0) rounds.push((median(samples) - median(bare)) * 1000);
    }
    check(allowed === 14_000, `${14_000 - allowed} calls were not allowed`);
    return [{ name: 'peer.agt.p50.us', value: median(rounds), unit: 'us', note: `ten rules, rounds ${spread(rounds)}` }];
  },
};
