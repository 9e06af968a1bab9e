// What the build makes of JSX elements: it puts this import into every file.

export { createElement, Fragment } from "preact";
