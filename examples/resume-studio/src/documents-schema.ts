// documents-schema.ts: the shape of a resume (JSON Resume, schema v1.0.0 at https://jsonresume.org/schema) and of a job
// advert. No field of a resume is required there, and unknown ones are allowed, so both hold here.

import { z } from 'zod';

/** The sections of JSON Resume that an agent can be asked to read or write, in the order of the schema. */
export const sections = [
  'basics',
  'work',
  'volunteer',
  'education',
  'awards',
  'certificates',
  'publications',
  'skills',
  'languages',
  'interests',
  'references',
  'projects',
] as const;
export type Section = (typeof sections)[number];

type Text = string | undefined;
type Texts = readonly string[] | undefined;

interface Span {
  readonly startDate?: Text;
  readonly endDate?: Text;
  readonly summary?: Text;
  readonly highlights?: Texts;
  readonly url?: Text;
}

/** A resume as far as agents read it. Fields beyond these are kept and not looked at. */
export interface Resume {
  readonly basics?:
    | {
        readonly name?: Text;
        readonly label?: Text;
        readonly email?: Text;
        readonly summary?: Text;
        readonly location?: { readonly city?: Text; readonly region?: Text; readonly countryCode?: Text } | undefined;
      }
    | undefined;
  readonly work?: readonly (Span & { readonly name?: Text; readonly position?: Text })[] | undefined;
  readonly volunteer?: readonly (Span & { readonly organization?: Text; readonly position?: Text })[] | undefined;
  readonly education?:
    | readonly (Omit<Span, 'summary' | 'highlights' | 'url'> & {
        readonly institution?: Text;
        readonly area?: Text;
        readonly studyType?: Text;
        readonly courses?: Texts;
      })[]
    | undefined;
  readonly awards?:
    | readonly { readonly title?: Text; readonly date?: Text; readonly awarder?: Text; readonly summary?: Text }[]
    | undefined;
  readonly certificates?: readonly { readonly name?: Text; readonly date?: Text; readonly issuer?: Text }[] | undefined;
  readonly publications?:
    | readonly { readonly name?: Text; readonly publisher?: Text; readonly releaseDate?: Text; readonly summary?: Text }[]
    | undefined;
  readonly skills?: readonly { readonly name?: Text; readonly level?: Text; readonly keywords?: Texts }[] | undefined;
  readonly languages?: readonly { readonly language?: Text; readonly fluency?: Text }[] | undefined;
  readonly interests?: readonly { readonly name?: Text; readonly keywords?: Texts }[] | undefined;
  readonly references?: readonly { readonly name?: Text; readonly reference?: Text }[] | undefined;
  readonly projects?:
    | readonly (Span & { readonly name?: Text; readonly description?: Text; readonly entity?: Text })[]
    | undefined;
  readonly meta?: { readonly id?: Text; readonly owner?: Text } | undefined;
}

const maxText = 20_000;
const maxEntries = 500;
const text = z.string().max(maxText).optional();
const texts = z.array(z.string().max(maxText)).max(maxEntries).optional();
// Year, year-month or date: the schema's own iso8601 pattern.
const date = z
  .string()
  .regex(/^[12]\d{3}(-[01]\d(-[0-3]\d)?)?$/, 'must be YYYY, YYYY-MM or YYYY-MM-DD')
  .optional();
const span = { startDate: date, endDate: date, summary: text, highlights: texts, url: text };

/** An id that is also a folder name, on every system: letters and digits of any script, and `. _ @ -` between them. */
export const idPattern: RegExp = /^[\p{L}\p{N}][\p{L}\p{N}\p{M}._@-]{0,99}$/u;
const id = z.string().regex(idPattern, 'must be 1 to 100 letters, digits, or . _ @ - (and start with a letter or digit)');

const basics = z.looseObject({
  name: text,
  label: text,
  image: text,
  email: text,
  phone: text,
  url: text,
  summary: text,
  location: z.looseObject({ address: text, postalCode: text, city: text, countryCode: text, region: text }).optional(),
  profiles: z
    .array(z.looseObject({ network: text, username: text, url: text }))
    .max(maxEntries)
    .optional(),
});

function list<Shape extends z.ZodRawShape>(shape: Shape): z.ZodOptional<z.ZodArray<z.ZodObject<Shape, z.core.$loose>>> {
  return z.array(z.looseObject(shape)).max(maxEntries).optional();
}

const resume = z.looseObject({
  basics: basics.optional(),
  work: list({ name: text, position: text, location: text, description: text, ...span }),
  volunteer: list({ organization: text, position: text, ...span }),
  education: list({
    institution: text,
    area: text,
    studyType: text,
    score: text,
    courses: texts,
    startDate: date,
    endDate: date,
  }),
  awards: list({ title: text, date, awarder: text, summary: text }),
  certificates: list({ name: text, date, issuer: text, url: text }),
  publications: list({ name: text, publisher: text, releaseDate: date, url: text, summary: text }),
  skills: list({ name: text, level: text, keywords: texts }),
  languages: list({ language: text, fluency: text }),
  interests: list({ name: text, keywords: texts }),
  references: list({ name: text, reference: text }),
  projects: list({ name: text, description: text, keywords: texts, roles: texts, entity: text, type: text, ...span }),
  meta: z.looseObject({ id: id.optional(), owner: id.optional(), canonical: text, version: text, lastModified: text }).optional(),
});

export const resumeSchema: z.ZodType<Resume> = resume;

/** A job somebody can be scored against or write a letter to. */
export interface Advert {
  readonly id: string;
  readonly title: string;
  readonly company: string;
  readonly location: string;
  /** Where letters go. */
  readonly contact: string;
  readonly requirements: readonly string[];
  readonly nice: readonly string[];
  readonly text: string;
}

export const advertSchema: z.ZodType<Advert> = z.object({
  id,
  title: z.string().min(1).max(200),
  company: z.string().min(1).max(200),
  location: z.string().min(1).max(200),
  contact: z.email(),
  requirements: z.array(z.string().min(1).max(500)).min(1).max(50),
  nice: z.array(z.string().min(1).max(500)).max(50),
  text: z.string().max(maxText),
});
