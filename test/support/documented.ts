/** The command lines that the documentation shows. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from './repository.js';

/** A word in capitals stands for something: such a line is a form, not a command line. */
const FORM = /\b[A-Z]{3,}\b|\.\.\.|[[|]/;

/**
 * Every command line of lvmsync in the README, in docs/ and on the man pages: lines of code blocks,
 * and code within the text that names a volume, device or file.
 */
export async function documentedCommands(): Promise<Set<string>> {
  const docs = join(repositoryRoot, 'docs');
  const files = readdirSync(docs).filter((name) => name.endsWith('.md'));
  const paths = [join(repositoryRoot, 'README.md'), ...files.map((name) => join(docs, name))];
  const commands = paths.flatMap((path) => commandsIn(readFileSync(path, 'utf8')));
  return new Set([...commands, ...(await manPageCommands())]);
}

export function commandsIn(markdown: string): string[] {
  const block = /^```.*\n([\s\S]*?)^```/gm;
  const lines = [...markdown.matchAll(block)].flatMap(([, code = '']) => linesOf(code));
  const text = markdown.replaceAll(block, '');
  const inText = [...text.matchAll(/`(lvmsync [^`]*)`/g)]
    .map(([, code = '']) => code.replaceAll(/\s+/g, ' '))
    .filter((code) => code.includes('/') && !FORM.test(code));
  return [...lines, ...inText];
}

function linesOf(code: string): string[] {
  return code
    .replaceAll(/\s*\\\n\s*/g, ' ')
    .split('\n')
    .map((line) => line.replace(/\s+#.*/, '').trim())
    .filter((line) => line.startsWith('lvmsync ') && !FORM.test(line));
}

async function manPageCommands(): Promise<string[]> {
  const { EXAMPLES } = (await import(
    join(repositoryRoot, 'scripts', 'reference', 'man-text.js')
  )) as { EXAMPLES: Record<string, [meaning: string, commands: string][]> };
  return Object.values(EXAMPLES).flatMap((examples) =>
    examples.flatMap(([, commands]) => linesOf(commands)),
  );
}
