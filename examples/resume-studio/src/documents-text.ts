// documents-text.ts: a resume as an agent reads it: one line per entry, so that a quotation is always a whole fact.

import { sectionsOf } from './documents.ts';
import type { Resume, Section } from './documents-schema.ts';

/** The whole resume, or one section of it. Each entry is one line starting with `- `. */
export function resumeText(resume: Resume, section?: Section): string {
  const chosen = section === undefined ? sectionsOf(resume) : [section];
  return chosen
    .map(
      (name) =>
        `## ${name}\n${entries(resume, name)
          .map((entry) => `- ${oneLine(entry)}`)
          .join('\n')}`,
    )
    .join('\n\n');
}

function entries(resume: Resume, section: Section): string[] {
  switch (section) {
    case 'basics': {
      const { name, label, summary, location } = resume.basics ?? {};
      const place = join(', ', location?.city, location?.region, location?.countryCode);
      return [join(', ', name, label), place, summary ?? ''].filter((line) => line !== '');
    }
    case 'work':
      return (resume.work ?? []).map((job) =>
        join(': ', `${join(' at ', job.position, job.name)}${span(job)}`, join(' ', job.summary, ...(job.highlights ?? []))),
      );
    case 'volunteer':
      return (resume.volunteer ?? []).map((job) =>
        join(
          ': ',
          `${join(' at ', job.position, job.organization)}${span(job)}`,
          join(' ', job.summary, ...(job.highlights ?? [])),
        ),
      );
    case 'education':
      return (resume.education ?? []).map((study) =>
        join(
          ': ',
          `${join(', ', join(' in ', study.studyType, study.area), study.institution)}${span(study)}`,
          study.courses?.join(', '),
        ),
      );
    case 'awards':
      return (resume.awards ?? []).map((award) => join(', ', award.title, award.awarder, award.date, award.summary));
    case 'certificates':
      return (resume.certificates ?? []).map((certificate) => join(', ', certificate.name, certificate.issuer, certificate.date));
    case 'publications':
      return (resume.publications ?? []).map((work) => join(', ', work.name, work.publisher, work.releaseDate, work.summary));
    case 'skills':
      return (resume.skills ?? []).map((skill) => join(': ', join(', ', skill.name, skill.level), skill.keywords?.join(', ')));
    case 'languages':
      return (resume.languages ?? []).map((language) => join(', ', language.language, language.fluency));
    case 'interests':
      return (resume.interests ?? []).map((interest) => join(': ', interest.name, interest.keywords?.join(', ')));
    case 'references':
      return (resume.references ?? []).map((reference) => join(': ', reference.name, reference.reference));
    case 'projects':
      return (resume.projects ?? []).map((project) =>
        join(
          ': ',
          `${join(', ', project.name, project.entity)}${span(project)}`,
          join(' ', project.description, ...(project.highlights ?? [])),
        ),
      );
  }
}

function span(entry: { readonly startDate?: string | undefined; readonly endDate?: string | undefined }): string {
  if (entry.startDate === undefined && entry.endDate === undefined) return '';
  return ` (${entry.startDate ?? '?'} to ${entry.endDate ?? 'now'})`;
}

function join(between: string, ...parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined && part !== '').join(between);
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
