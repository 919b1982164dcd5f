"""Films of libraries: scanned, admitted, registered, published."""
