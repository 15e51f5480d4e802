/** `npm ci` runs this: builds the native parts with plain `cc`, no download. */
