/** What was found out about one thing of a machine or a link. */
export interface Finding {
  /** A word or two: `lvm`, `io_uring`. */
  name: string;
  /** `failure`: it would stop a run. `warning`: a run would be slower, or could not do everything. */
  status: 'ok' | 'warning' | 'failure';
  /** One line, for people. */
  text: string;
  /** The command that mends it, where there is one. */
  mend?: string;
}

export const ok = (name: string, text: string): Finding => ({ name, status: 'ok', text });

export const warning = (name: string, text: string, mend?: string): Finding => ({
  ...{ name, status: 'warning', text },
  ...(mend !== undefined && { mend }),
});

export const failure = (name: string, text: string, mend?: string): Finding => ({
  ...{ name, status: 'failure', text },
  ...(mend !== undefined && { mend }),
});
