/** What the program needs of React, so that none of the many versions of its types is installed. */
declare module "react" {
  export function createElement(component: () => unknown): object;
}
declare module "react-dom/server" {
  export function renderToString(element: object): string;
}
