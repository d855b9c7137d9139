import { readFileSync } from 'node:fs';
import { panelQueries, readDashboard } from './dashboard.ts';

/** Something to ask Prometheus, and what it belongs to: a panel's title, a recorded series, an alert. */
export interface Expression {
  readonly title: string;
  readonly expression: string;
}

/** Every expression of the dashboard, with its variables at their choice of everything. */
export const dashboardExpressions = (): Expression[] =>
  panelQueries(readDashboard()).map(({ panel, expr }) => ({ title: panel, expression: expr }));

/** Every expression of a rule file that is written as ours is: one rule an item, folded where it is longer than a line. */
export function ruleExpressions(path: string): Expression[] {
  return readFileSync(path, 'utf8')
    .split(/^ {6}- /m)
    .flatMap((rule) => {
      const title = /^(?:alert|record): (\S+)$/m.exec(rule)?.[1];
      const folded = /^ {8}expr: >-\n((?: {10}.*\n?)+)/m.exec(rule)?.[1];
      const expression = folded?.replace(/\s+/g, ' ').trim() ?? /^ {8}expr: (.+)$/m.exec(rule)?.[1];
      return title === undefined || expression === undefined ? [] : [{ title, expression }];
    });
}

/** Whether nothing is a good answer: an alert that does not fire has none. */
export const mayBeEmpty = (title: string): boolean => /^Kcorder[A-Z]/.test(title);
