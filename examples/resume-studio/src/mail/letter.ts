// letter.ts: what sender and mail server agree on.

import { z } from 'zod';
import type { OutboxLine } from '../tools-files.ts';

/** The scope of a token that sends letters. */
export const sendScope = 'send';

/** Letters to it are taken, and go nowhere. RFC 5321, section 4.5.1, has every mail server know this name. */
export const postmaster = 'postmaster';

export const letterSchema: z.ZodType<OutboxLine> = z.object({
  letter: z.string(),
  to: z.string(),
  subject: z.string(),
  at: z.string(),
  key: z.string().nullable(),
});
