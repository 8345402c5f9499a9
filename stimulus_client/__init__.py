"""The program on the display PC: shows what the server sends and reports what was truly shown."""
