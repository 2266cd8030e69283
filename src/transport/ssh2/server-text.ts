/** What a server says may hold anything; only what cannot move a terminal's cursor is shown. */
export function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, '');
}

/** The same on one line, for an error's message. */
export function oneLine(text: string): string {
  return printable(text).trim().replace(/\s+/g, ' ');
}
